# Português (Brasil), begun: what is not here is said in English.

event-ups-on-battery = { $ups } funciona com bateria
event-ups-on-mains = { $ups } funciona com a rede

level-info = Informação
level-notice = Observação
level-warning = Aviso
level-alarm = Alarme
state-raised = não reconhecido
state-acknowledged = reconhecido
state-returned = encerrado, não reconhecido
state-latched = encerrado, aguarda rearme
state-shelved = adiado
urgency-now = imediatamente
urgency-today = hoje
urgency-soon = esta semana
place-appliance = Equipamento
place-guard = Guardião
place-bus = Barramento { $n }
place-device = Dispositivo { $n }
place-string = String { $n }
place-block = String { $n } bloco { $block }
place-blocks = { $count ->
    [one] String { $n } bloco { $blocks }
   *[other] String { $n } blocos { $blocks }
  }
place-plugin = Plugin { $name }
value-and-limit = { $value } (limite { $limit })

guard-lost = O guardião não responde
bus-lost = Barramento de baterias perdido
cable-broken = Cabo do barramento rompido
device-lost = O dispositivo não responde
ups-lost = O nobreak não responde
ups-on-battery = Nobreak em bateria
ups-battery-low = Bateria do nobreak baixa
ups-overload = Nobreak sobrecarregado
ups-on-bypass = Nobreak em bypass
charger-wrong = Carregador mal ajustado
finding-voltage-high = Tensão do bloco alta
finding-voltage-low = Tensão do bloco baixa
finding-temperature-high = Temperatura do bloco alta
finding-temperature-low = Temperatura do bloco baixa
finding-resistance-high = Resistência interna alta
finding-module-lost = O módulo não responde
finding-runaway = Fuga térmica
finding-ground-fault = Falta à terra
limit-high = { $quantity }: alto demais
limit-low = { $quantity }: baixo demais
quantity-block-voltage = Tensão do bloco
quantity-block-temperature = Temperatura do bloco
quantity-block-charge = Estado de carga
quantity-string-charge = Estado de carga
quantity-block-health = Estado de saúde
quantity-ups-load = Carga do nobreak

page-alarms = Alarmes
page-none = Nenhum alarme.
page-level = Nível
page-where = Onde
page-value = Valor
page-since = Desde (UTC)
page-state = Estado
page-act = Ação
page-causes = Causas prováveis
page-action = O que fazer
page-urgency = Prazo
page-note = Nota
page-reason = Motivo
page-hours = Por horas
page-acknowledge = Reconhecer
page-shelve = Adiar
page-unshelve = Retomar
page-reset = Rearmar
page-language = Idioma
page-sign-out = Sair
page-password = Senha
