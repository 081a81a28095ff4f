# Slovenčina, begun: what is not here is said in English.

event-ups-on-battery = { $ups } beží z batérie
event-ups-on-mains = { $ups } beží zo siete

level-info = Informácia
level-notice = Poznámka
level-warning = Varovanie
level-alarm = Poplach
state-raised = nepotvrdený
state-acknowledged = potvrdený
state-returned = skončil, nepotvrdený
state-latched = skončil, čaká na vynulovanie
state-shelved = odložený
urgency-now = ihneď
urgency-today = dnes
urgency-soon = tento týždeň
place-appliance = Prístroj
place-guard = Strážca
place-bus = Zbernica { $n }
place-device = Zariadenie { $n }
place-string = Vetva { $n }
place-block = Vetva { $n } blok { $block }
place-blocks = { $count ->
    [one] Vetva { $n } blok { $blocks }
   *[other] Vetva { $n } bloky { $blocks }
  }
place-plugin = Zásuvný modul { $name }
value-and-limit = { $value } (medza { $limit })

guard-lost = Strážca neodpovedá
bus-lost = Stratená zbernica batérií
cable-broken = Prerušený kábel zbernice
device-lost = Zariadenie neodpovedá
ups-lost = UPS neodpovedá
ups-on-battery = UPS beží z batérie
ups-battery-low = Batéria UPS je takmer vybitá
ups-overload = UPS je preťažená
ups-on-bypass = UPS v obtoku
charger-wrong = Nabíjač je zle nastavený
finding-voltage-high = Vysoké napätie bloku
finding-voltage-low = Nízke napätie bloku
finding-temperature-high = Vysoká teplota bloku
finding-temperature-low = Nízka teplota bloku
finding-resistance-high = Vysoký vnútorný odpor
finding-module-lost = Modul neodpovedá
finding-runaway = Tepelný lavínový jav
finding-ground-fault = Zemné spojenie
limit-high = { $quantity }: príliš vysoko
limit-low = { $quantity }: príliš nízko
quantity-block-voltage = Napätie bloku
quantity-block-temperature = Teplota bloku
quantity-block-charge = Stav nabitia
quantity-string-charge = Stav nabitia
quantity-block-health = Stav zdravia
quantity-ups-load = Záťaž UPS

page-alarms = Poplachy
page-none = Žiadne poplachy.
page-level = Úroveň
page-where = Kde
page-value = Hodnota
page-since = Od (UTC)
page-state = Stav
page-act = Akcia
page-causes = Pravdepodobné príčiny
page-action = Čo robiť
page-urgency = Ako skoro
page-note = Poznámka
page-reason = Dôvod
page-hours = Na hodín
page-acknowledge = Potvrdiť
page-shelve = Odložiť
page-unshelve = Vrátiť
page-reset = Vynulovať
page-language = Jazyk
page-sign-out = Odhlásiť
page-password = Heslo
