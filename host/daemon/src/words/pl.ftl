# Polski, begun: what is not here is said in English.

event-ups-on-battery = { $ups } pracuje z baterii
event-ups-on-mains = { $ups } pracuje z sieci

level-info = Informacja
level-notice = Uwaga
level-warning = Ostrzeżenie
level-alarm = Alarm
state-raised = niepotwierdzony
state-acknowledged = potwierdzony
state-returned = zakończony, niepotwierdzony
state-latched = zakończony, czeka na skasowanie
state-shelved = odłożony
urgency-now = natychmiast
urgency-today = dzisiaj
urgency-soon = w tym tygodniu
place-appliance = Urządzenie
place-guard = Strażnik
place-bus = Magistrala { $n }
place-device = Urządzenie { $n }
place-string = Łańcuch { $n }
place-block = Łańcuch { $n } blok { $block }
place-blocks = { $count ->
    [one] Łańcuch { $n } blok { $blocks }
   *[other] Łańcuch { $n } bloki { $blocks }
  }
place-plugin = Wtyczka { $name }
value-and-limit = { $value } (próg { $limit })

guard-lost = Strażnik nie odpowiada
bus-lost = Utracono magistralę baterii
cable-broken = Przerwany kabel magistrali
device-lost = Urządzenie nie odpowiada
ups-lost = UPS nie odpowiada
ups-on-battery = UPS pracuje z baterii
ups-battery-low = Bateria UPS prawie pusta
ups-overload = UPS przeciążony
ups-on-bypass = UPS na obejściu
charger-wrong = Prostownik źle ustawiony
finding-voltage-high = Napięcie bloku za wysokie
finding-voltage-low = Napięcie bloku za niskie
finding-temperature-high = Temperatura bloku za wysoka
finding-temperature-low = Temperatura bloku za niska
finding-resistance-high = Wysoka rezystancja wewnętrzna
finding-module-lost = Moduł nie odpowiada
finding-runaway = Rozbieganie termiczne
finding-ground-fault = Doziemienie
limit-high = { $quantity }: za wysoko
limit-low = { $quantity }: za nisko
quantity-block-voltage = Napięcie bloku
quantity-block-temperature = Temperatura bloku
quantity-block-charge = Stan naładowania
quantity-string-charge = Stan naładowania
quantity-block-health = Stan zdrowia
quantity-ups-load = Obciążenie UPS

page-alarms = Alarmy
page-none = Brak alarmów.
page-level = Poziom
page-where = Gdzie
page-value = Wartość
page-since = Od (UTC)
page-state = Stan
page-act = Działanie
page-causes = Prawdopodobne przyczyny
page-action = Co zrobić
page-urgency = Jak szybko
page-note = Notatka
page-reason = Powód
page-hours = Na godzin
page-acknowledge = Potwierdź
page-shelve = Odłóż
page-unshelve = Przywróć
page-reset = Skasuj
page-language = Język
page-sign-out = Wyloguj
page-password = Hasło
