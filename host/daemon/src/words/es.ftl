# Español, begun: what is not here is said in English.

event-ups-on-battery = { $ups } funciona con batería
event-ups-on-mains = { $ups } funciona con la red

level-info = Información
level-notice = Aviso
level-warning = Advertencia
level-alarm = Alarma
state-raised = sin reconocer
state-acknowledged = reconocida
state-returned = terminada, sin reconocer
state-latched = terminada, pendiente de rearme
state-shelved = aplazada
urgency-now = de inmediato
urgency-today = hoy
urgency-soon = esta semana
place-appliance = Equipo
place-guard = Guardián
place-bus = Bus { $n }
place-device = Dispositivo { $n }
place-string = Cadena { $n }
place-block = Cadena { $n } bloque { $block }
place-blocks = { $count ->
    [one] Cadena { $n } bloque { $blocks }
   *[other] Cadena { $n } bloques { $blocks }
  }
place-plugin = Complemento { $name }
value-and-limit = { $value } (límite { $limit })

guard-lost = El guardián no responde
bus-lost = Bus de baterías perdido
cable-broken = Cable de bus cortado
device-lost = El dispositivo no responde
ups-lost = El SAI no responde
ups-on-battery = SAI en batería
ups-battery-low = Batería del SAI baja
ups-overload = SAI sobrecargado
ups-on-bypass = SAI en bypass
charger-wrong = Cargador mal ajustado
finding-voltage-high = Tensión de bloque alta
finding-voltage-low = Tensión de bloque baja
finding-temperature-high = Temperatura de bloque alta
finding-temperature-low = Temperatura de bloque baja
finding-resistance-high = Resistencia interna alta
finding-module-lost = El módulo no responde
finding-runaway = Embalamiento térmico
finding-ground-fault = Falta a tierra
limit-high = { $quantity }: demasiado alto
limit-low = { $quantity }: demasiado bajo
quantity-block-voltage = Tensión de bloque
quantity-block-temperature = Temperatura de bloque
quantity-block-charge = Estado de carga
quantity-string-charge = Estado de carga
quantity-block-health = Estado de salud
quantity-ups-load = Carga del SAI

page-alarms = Alarmas
page-none = Ninguna alarma.
page-level = Nivel
page-where = Dónde
page-value = Valor
page-since = Desde (UTC)
page-state = Estado
page-act = Acción
page-causes = Causas probables
page-action = Qué hacer
page-urgency = Plazo
page-note = Nota
page-reason = Motivo
page-hours = Durante (horas)
page-acknowledge = Reconocer
page-shelve = Aplazar
page-unshelve = Recuperar
page-reset = Rearmar
page-language = Idioma
page-sign-out = Cerrar sesión
page-password = Contraseña
