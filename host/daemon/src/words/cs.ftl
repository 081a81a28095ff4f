# Čeština, begun: what is not here is said in English.

event-ups-on-battery = { $ups } běží z baterie
event-ups-on-mains = { $ups } běží ze sítě

level-info = Informace
level-notice = Poznámka
level-warning = Varování
level-alarm = Poplach
state-raised = nepotvrzený
state-acknowledged = potvrzený
state-returned = skončil, nepotvrzený
state-latched = skončil, čeká na vynulování
state-shelved = odložený
urgency-now = ihned
urgency-today = dnes
urgency-soon = tento týden
place-appliance = Přístroj
place-guard = Hlídač
place-bus = Sběrnice { $n }
place-device = Zařízení { $n }
place-string = Větev { $n }
place-block = Větev { $n } blok { $block }
place-blocks = { $count ->
    [one] Větev { $n } blok { $blocks }
   *[other] Větev { $n } bloky { $blocks }
  }
place-plugin = Zásuvný modul { $name }
value-and-limit = { $value } (mez { $limit })

guard-lost = Hlídač neodpovídá
bus-lost = Ztracena sběrnice baterií
cable-broken = Přerušený kabel sběrnice
device-lost = Zařízení neodpovídá
ups-lost = UPS neodpovídá
ups-on-battery = UPS běží z baterie
ups-battery-low = Baterie UPS je téměř vybitá
ups-overload = UPS je přetížena
ups-on-bypass = UPS v obtoku
charger-wrong = Nabíječ je špatně nastaven
finding-voltage-high = Vysoké napětí bloku
finding-voltage-low = Nízké napětí bloku
finding-temperature-high = Vysoká teplota bloku
finding-temperature-low = Nízká teplota bloku
finding-resistance-high = Vysoký vnitřní odpor
finding-module-lost = Modul neodpovídá
finding-runaway = Tepelný lavinový jev
finding-ground-fault = Zemní spojení
limit-high = { $quantity }: příliš vysoko
limit-low = { $quantity }: příliš nízko
quantity-block-voltage = Napětí bloku
quantity-block-temperature = Teplota bloku
quantity-block-charge = Stav nabití
quantity-string-charge = Stav nabití
quantity-block-health = Stav zdraví
quantity-ups-load = Zátěž UPS

page-alarms = Poplachy
page-none = Žádné poplachy.
page-level = Úroveň
page-where = Kde
page-value = Hodnota
page-since = Od (UTC)
page-state = Stav
page-act = Akce
page-causes = Pravděpodobné příčiny
page-action = Co dělat
page-urgency = Jak brzy
page-note = Poznámka
page-reason = Důvod
page-hours = Na hodin
page-acknowledge = Potvrdit
page-shelve = Odložit
page-unshelve = Vrátit
page-reset = Vynulovat
page-language = Jazyk
page-sign-out = Odhlásit
page-password = Heslo
