# Italiano, begun: what is not here is said in English.

event-ups-on-battery = { $ups } funziona a batteria
event-ups-on-mains = { $ups } funziona da rete

level-info = Informazione
level-notice = Nota
level-warning = Avviso
level-alarm = Allarme
state-raised = non riconosciuto
state-acknowledged = riconosciuto
state-returned = terminato, non riconosciuto
state-latched = terminato, da ripristinare
state-shelved = accantonato
urgency-now = subito
urgency-today = oggi
urgency-soon = questa settimana
place-appliance = Apparecchio
place-guard = Guardiano
place-bus = Bus { $n }
place-device = Dispositivo { $n }
place-string = Stringa { $n }
place-block = Stringa { $n } blocco { $block }
place-blocks = { $count ->
    [one] Stringa { $n } blocco { $blocks }
   *[other] Stringa { $n } blocchi { $blocks }
  }
place-plugin = Plugin { $name }
value-and-limit = { $value } (limite { $limit })

guard-lost = Il guardiano non risponde
bus-lost = Bus batterie perso
cable-broken = Cavo del bus interrotto
device-lost = Il dispositivo non risponde
ups-lost = L'UPS non risponde
ups-on-battery = UPS a batteria
ups-battery-low = Batteria dell'UPS scarica
ups-overload = UPS in sovraccarico
ups-on-bypass = UPS in bypass
charger-wrong = Caricabatterie regolato male
finding-voltage-high = Tensione di blocco alta
finding-voltage-low = Tensione di blocco bassa
finding-temperature-high = Temperatura di blocco alta
finding-temperature-low = Temperatura di blocco bassa
finding-resistance-high = Resistenza interna alta
finding-module-lost = Il modulo non risponde
finding-runaway = Fuga termica
finding-ground-fault = Guasto a terra
limit-high = { $quantity }: troppo alto
limit-low = { $quantity }: troppo basso
quantity-block-voltage = Tensione di blocco
quantity-block-temperature = Temperatura di blocco
quantity-block-charge = Stato di carica
quantity-string-charge = Stato di carica
quantity-block-health = Stato di salute
quantity-ups-load = Carico dell'UPS

page-alarms = Allarmi
page-none = Nessun allarme.
page-level = Livello
page-where = Dove
page-value = Valore
page-since = Da (UTC)
page-state = Stato
page-act = Azione
page-causes = Cause probabili
page-action = Che cosa fare
page-urgency = Entro
page-note = Nota
page-reason = Motivo
page-hours = Per ore
page-acknowledge = Riconosci
page-shelve = Accantona
page-unshelve = Riprendi
page-reset = Ripristina
page-language = Lingua
page-sign-out = Esci
page-password = Password
