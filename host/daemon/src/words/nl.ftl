# Nederlands, begun: what is not here is said in English.

event-ups-on-battery = { $ups } werkt op batterij
event-ups-on-mains = { $ups } werkt op het net

level-info = Informatie
level-notice = Opmerking
level-warning = Waarschuwing
level-alarm = Alarm
state-raised = niet bevestigd
state-acknowledged = bevestigd
state-returned = voorbij, niet bevestigd
state-latched = voorbij, wacht op reset
state-shelved = uitgesteld
urgency-now = meteen
urgency-today = vandaag
urgency-soon = deze week
place-appliance = Apparaat
place-guard = Bewaker
place-bus = Bus { $n }
place-device = Apparaat { $n }
place-string = String { $n }
place-block = String { $n } blok { $block }
place-blocks = { $count ->
    [one] String { $n } blok { $blocks }
   *[other] String { $n } blokken { $blocks }
  }
place-plugin = Plug-in { $name }
value-and-limit = { $value } (grens { $limit })

guard-lost = Bewaker antwoordt niet
bus-lost = Batterijbus uitgevallen
cable-broken = Buskabel gebroken
device-lost = Apparaat antwoordt niet
ups-lost = UPS antwoordt niet
ups-on-battery = UPS werkt op batterij
ups-battery-low = UPS-batterij bijna leeg
ups-overload = UPS overbelast
ups-on-bypass = UPS in bypass
charger-wrong = Lader verkeerd ingesteld
finding-voltage-high = Blokspanning te hoog
finding-voltage-low = Blokspanning te laag
finding-temperature-high = Bloktemperatuur te hoog
finding-temperature-low = Bloktemperatuur te laag
finding-resistance-high = Inwendige weerstand hoog
finding-module-lost = Module antwoordt niet
finding-runaway = Thermische wegloop
finding-ground-fault = Aardfout
limit-high = { $quantity } te hoog
limit-low = { $quantity } te laag
quantity-block-voltage = Blokspanning
quantity-block-temperature = Bloktemperatuur
quantity-block-charge = Ladingstoestand
quantity-string-charge = Ladingstoestand
quantity-block-health = Gezondheid
quantity-ups-load = UPS-belasting

page-alarms = Alarmen
page-none = Geen alarmen.
page-level = Niveau
page-where = Waar
page-value = Waarde
page-since = Sinds (UTC)
page-state = Toestand
page-act = Doen
page-causes = Waarschijnlijke oorzaken
page-action = Wat te doen
page-urgency = Hoe snel
page-note = Notitie
page-reason = Reden
page-hours = Voor uren
page-acknowledge = Bevestigen
page-shelve = Uitstellen
page-unshelve = Terughalen
page-reset = Resetten
page-language = Taal
page-sign-out = Afmelden
page-password = Wachtwoord
