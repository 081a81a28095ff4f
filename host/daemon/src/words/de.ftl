# Deutsch, vollständig.

## Ereignisse

event-string-out-of-band = Strang { $string } außerhalb des Bands: ein Block liegt { VALUE($deviation_mv, unit: "mV", sign: 1) } neben dem Sollwert
event-string-in-band = Strang { $string } im Band: jeder Block innerhalb ±{ VALUE($in_band_mv, unit: "mV") } vom Sollwert
event-module-lost = Strang { $string } Block { $block }: Modul antwortet nicht mehr
event-module-back = Strang { $string } Block { $block }: Modul antwortet wieder
event-modules-lost = Strang { $string } Blöcke { $blocks }: Module antworten nicht mehr
event-modules-back = Strang { $string } Blöcke { $blocks }: Module antworten wieder
event-alarm-raised = { $blocks_count ->
    [0] { $level }: Strang { $string }: { $condition }
    [one] { $level }: Strang { $string } Block { $blocks }: { $condition }
   *[other] { $level }: Strang { $string } Blöcke { $blocks }: { $condition }
  }
event-alarm-over = Strang { $string }: vorbei: { $condition }
event-tripped = Strang { $string } abgeschaltet: { $cause }, Block { $block } mit { VALUE($temperature_dc, unit: "°C", scale: 1, digits: 1) }
event-trip-reset = Abschaltung von Strang { $string } zurückgesetzt
event-breaker-failed = Schalter von Strang { $string } sollte öffnen und tat es nicht
event-breaker-failure-over = Schalter von Strang { $string } hat doch geöffnet oder muss es nicht mehr
event-discharge-began = Strang { $string } speist die Last
event-discharge-ended = Strang { $string } speiste die Last { SPAN($duration_s) } lang{ $drawn_mah ->
    [none] {""}
   *[other] , { VALUE($drawn_mah, unit: "Ah", scale: 3, digits: 1) }
  }{ $first_collapsed ->
    [none] {""}
   *[other] ; Block { $first_collapsed } brach zuerst ein
  }
event-test-began = Batterietest { $test } begonnen
event-test-ended = { $verdict ->
    [none] { $cause ->
        [none] Batterietest { $test } nicht beendet: kein Urteil
       *[other] Batterietest { $test } nicht beendet: { $cause }
      }
   *[other] Batterietest { $test }: { $verdict }
  }
event-equalizing-infeasible = Strang { $string } kann nicht ausgeglichen werden: Block { $block } braucht { VALUE($needs_ma, unit: "mA") }, ein Modul gibt { VALUE($gives_ma, unit: "mA") }
event-equalizing-feasible = Strang { $string } kann wieder ausgeglichen werden
event-charger-wrong = Ladegerät von Strang { $string } liegt um { VALUE($by_mv, unit: "V", scale: 3, digits: 2, sign: 1) } falsch: richtig einstellen
event-charger-right = Ladegerät von Strang { $string } richtig eingestellt
event-cable-broken = Kabel von Bus { $bus } gestört: { $place }
event-cable-whole = Kabel von Bus { $bus } wieder ganz
event-device-lost = Gerät { $device } ({ $name }) antwortet nicht
event-device-back = Gerät { $device } ({ $name }) antwortet wieder
event-ups-on-battery = { $ups } läuft auf Batterie
event-ups-on-mains = { $ups } läuft am Netz
event-ups-battery-low = { $ups }: Batterie fast leer
event-ups-lost = { $ups } antwortet nicht
event-ups-back = { $ups } antwortet wieder
event-ups-unwatched = { $ups } wird nicht mehr überwacht: Das Plugin wurde entfernt, verlegt oder ausgeschaltet
event-plugin-started = Plugin { $name } { $version } gestartet
event-plugin-stopped = Plugin { $name } beendet
event-plugin-trapped = Plugin { $name } ist gescheitert: { $reason }
event-plugin-quarantined = Plugin { $name } ist zu oft gescheitert und bleibt aus: { $reason }
event-plugin-released = Plugin { $name } bleibt nicht länger aus
event-decisions-lost = Was über Plugins und Schlüssel entschieden wurde, ist nicht lesbar: { $reason }
event-plugin-rolled-back = Plugin { $name }: die vorige Version ist zurück, die neue ist gescheitert: { $reason }
event-plugin-said = Plugin { $name }: { $text }
event-plugin-denied = Plugin { $name } versuchte, was ihm nicht erlaubt ist: { $reason }
event-events-untold = { $count ->
    [one] Plugin { $name } hat ein Ereignis nicht weitergegeben: { $reason }
   *[other] Plugin { $name } hat { VALUE($count) } Ereignisse nicht weitergegeben: { $reason }
  }
event-plugin-refused = Plugin { $file } abgelehnt: { $reason }
event-guard-back = Wächter antwortet
event-guard-lost = Wächter antwortet nicht; kein Wert ist aktuell
event-guard-condition = Wächter: { $condition }
event-guard-condition-over = Wächter: vorbei: { $condition }
event-daemon-started = Evenkeel { $version } gestartet
event-settings-in-force = { $what }: Stand { $revision } gilt
event-settings-refused = { $what } abgelehnt, der letzte gute Stand gilt: { $reason }
event-kept-lost = { $what ->
    [alarms] Alarme von vor dem Neustart sind nicht lesbar, oder nicht alle: { $reason }
    [jobs] Aufträge von vor dem Neustart sind nicht lesbar, oder nicht alle: { $reason }
   *[other] { $what } von vor dem Neustart sind nicht lesbar: { $reason }
  }
event-store-damaged = Der Speicher war beschädigt ({ $reason }); aufgehoben als { $moved_to }, ein neuer begonnen
event-store-salvaged = Der Speicher war beschädigt ({ $reason }); aufgehoben als { $moved_to }; im neuen sind: { $tables }
salvaged-table = { $lost ->
    [0] { $what } { VALUE($kept) }
   *[other] { $what } { VALUE($kept) } ({ VALUE($lost) } verloren)
  }
table-users = Benutzer
table-settings = Einstellungen
table-audit = Prüfprotokoll
table-events = Ereignisse
table-events-access = Ereignisse zum Zugang
table-told = Merker der Melder
table-documents = Alarme und Zustände
table-jobs = Aufträge
table-kv = Werte der Plugins
table-kv-wear = Schreibguthaben der Plugins
table-wear = Flash-Zähler
table-discharges = Entladungen
table-discharge-rows = Messreihen der Entladungen
table-history-open = neuester Verlauf
table-history-records = Verlauf
table-history-hours = Verlauf nach Stunden
table-history-days = Verlauf nach Tagen
table-history-sizes = Größen des Verlaufs
table-values-open = neueste Werte der Geräte
table-values-records = Werte der Geräte
table-values-hours = Werte der Geräte nach Stunden
table-values-days = Werte der Geräte nach Tagen
event-store-failed = Der Speicher lässt sich nicht beschreiben, Ereignisse bleiben im Arbeitsspeicher: { $reason }
event-store-recovered = { $samples_lost ->
    [0] Der Speicher lässt sich wieder beschreiben; kein Messwertsatz ging verloren
    [one] Der Speicher lässt sich wieder beschreiben; ein Messwertsatz ging verloren
   *[other] Der Speicher lässt sich wieder beschreiben; { VALUE($samples_lost) } Messwertsätze gingen verloren
  }
event-events-dropped = { $count ->
    [one] Ein Ereignis kam zu schnell und ist verloren
   *[other] { VALUE($count) } Ereignisse kamen zu schnell und sind verloren
  }
event-login = { $via ->
    [none] { $user } hat sich von { $from } angemeldet
   *[other] { $user } hat sich von { $from } angemeldet, anerkannt von { $via }
  }
event-login-without-role = { $user } von { $from } wurde von { $via } anerkannt und hat hier keine Rolle; ordnen Sie eines dieser Worte in [login.roles] zu: { $words }
event-authenticator-unavailable = { $name } kann nicht gefragt werden, nur örtliche Konten gelten: { $reason }
event-authenticator-back = { $name } entscheidet wieder über Anmeldungen
event-logout = { $user } hat sich von { $from } abgemeldet
event-login-failed = { $count ->
    [one] Fehlgeschlagene Anmeldung als „{ $user }“ von { $from }
   *[other] { VALUE($count) } fehlgeschlagene Anmeldungen als „{ $user }“ von { $from }
  }{ $by ->
    [none] {""}
   *[other] , abgewiesen von { $by }
  }
event-password-changed = { $user } hat das Kennwort geändert, von { $from }
event-ordered = { $user } hat von { $from } angeordnet: { $order }{ $refused ->
    [none] {""}
   *[other] ; abgelehnt: { $refused }
  }
event-commanded = { $who } an { $target }: { $command }{ $value ->
    [none] {""}
   *[other] {" "}{ $value }
  }{ $refused ->
    [none] {""}
   *[other] ; nicht ausgeführt: { $refused }
  }
event-edition-changed = Ausgabe { $edition } gilt, sie zeigt { $shows }: { $reason }
event-licence-installed = { $user } hat die Lizenz { $name } von { $from } eingespielt
event-licence-removed = { $user } hat die Lizenz { $name } von { $from } entfernt
event-licence-refused = Lizenz von { $from } abgelehnt: { $reason }
event-firmware-installed = { $user } hat Firmware { $version } von { $from } eingespielt; sie startet auf Befehl
event-firmware-refused = Firmware von { $user } von { $from } abgelehnt: { $reason }
event-firmware-confirmed = Firmware { $version } hat sich bewährt und bleibt
event-firmware-without = Firmware { $version } bleibt, obwohl diese Plugins vorher liefen und jetzt nicht: { $plugins }
event-firmware-permanent = Firmware { $version } ist endgültig: Nichts unter Epoche { $floor } startet mehr
event-factory-reset = Gerät { $serial } ist wie ab Werk, auf Befehl von { $user } von { $from }; alles vorher Gespeicherte ist gelöscht
event-factory-reset-by-button = Gerät { $serial } ist wie ab Werk, durch seine Taste; alles vorher Gespeicherte ist gelöscht
event-firmware-returned = Zurück zur Firmware davor: { $reason }
event-network-lapsed = { $count ->
    [one] Niemand hat die Änderung des Netzes bestätigt; die vorigen Einstellungen gelten wieder
   *[other] Niemand hat { VALUE($count) } Änderungen des Netzes bestätigt; die vorigen Einstellungen gelten wieder
  }
event-certificate-lapsed = Niemand hat das Zertifikat SHA-256 { $fingerprint } bestätigt; das vorige gilt wieder
event-certificate-renewed = Neues Zertifikat der Konsole, SHA-256 { $fingerprint }
event-rule-raised = Regel { $rule }: { $text }
event-rule-cleared = Regel { $rule }: vorbei: { $text }
event-schedule-due = { $late_s ->
    [0] { $entry } ist fällig
   *[other] { $entry } ist fällig, { VALUE($late_s, "s") } zu spät
  }
event-schedule-missed = { $count ->
    [one] { $entry } wurde einmal verpasst und entfällt
   *[other] { $entry } wurde { VALUE($count) }-mal verpasst und entfällt
  }
event-job-said = { $text } (Auftrag { $job })
event-job-done = { $attempts ->
    [one] Auftrag { $job }: { $action }
   *[other] Auftrag { $job }: { $action }, beim { VALUE($attempts) }. Versuch
  }
event-job-failed = Auftrag { $job } gescheitert ({ $action }): { $reason }
event-job-withdrawn = Auftrag { $job } wurde entfernt: was er getan hat, wird zurückgenommen
event-jobs-dropped = { $count ->
    [one] Auftrag { $job } wurde einmal nicht begonnen: zu viele warten
   *[other] Auftrag { $job } wurde { VALUE($count) }-mal nicht begonnen: zu viele warten
  }
event-sequence-ended = { $aborted ->
    [none] Ablauf { $sequence } ist beendet
   *[other] Ablauf { $sequence } wurde abgebrochen: { $aborted }
  }
job-reason-over = was dazu führte, ist vorbei
job-reason-removed = der Auftrag dazu wurde entfernt
job-reason-interrupted = das Gerät hielt mittendrin an; niemand weiß, ob es geschehen ist
event-unknown = Ein Ereignis, das diese Version von Evenkeel nicht lesen kann

## Was aus einem Alarm wird

alarm-raised = { $level }: { alarm-about }
alarm-again = { $level }, erneut: { alarm-about }
alarm-worse = { $level }, schlimmer als zuvor: { alarm-about }
alarm-joined = { $level }, an weiteren Stellen: { alarm-about }
alarm-flapping = { $level }, kommt und geht: { alarm-about }
alarm-over = Vorbei: { alarm-about }
alarm-acknowledged = { $user } hat Alarm { $alarm } quittiert ({ $place }: { $what }){ alarm-note }
alarm-shelved = { $user } hat Alarm { $alarm } zurückgestellt ({ $place }: { $what }) bis { TIME($until_ms) }{ alarm-note }
alarm-unshelved = { $user } hat Alarm { $alarm } zurückgeholt ({ $place }: { $what })
alarm-shelf-over = Alarm { $alarm } ist nicht mehr zurückgestellt: { alarm-about }
alarm-reset = { $user } hat Alarm { $alarm } zurückgesetzt ({ $place }: { $what }){ alarm-note }
alarm-full = Es gibt mehr Alarme, als gehalten werden können; die geringsten fehlen
alarm-about = { $place }: { $what }{ $blocks_count ->
    [0] {""}
    [one] {" "}(Block { $blocks })
   *[other] {" "}(Blöcke { $blocks })
  }{ $value ->
    [none] {""}
   *[other] , { $value }
  }{ $limit ->
    [none] {""}
   *[other] , Grenze { $limit }
  }
alarm-note = { $note ->
    [none] {""}
   *[other] : { $note }
  }

## Wovon ein Alarm handelt

guard-lost = Wächter antwortet nicht
bus-lost = Batteriebus ausgefallen
cable-broken = Buskabel unterbrochen
device-lost = Gerät antwortet nicht
ups-lost = USV antwortet nicht
ups-on-battery = USV läuft auf Batterie
ups-battery-low = USV-Batterie fast leer
ups-replace-battery = USV verlangt eine neue Batterie
ups-overload = USV überlastet
ups-on-bypass = USV im Bypass
charger-wrong = Ladegerät falsch eingestellt
store-failed = Speicher lässt sich nicht beschreiben
certificate-expires = Zertifikat läuft ab
plugin-off = Plugin ist gescheitert oder abgelehnt und bleibt aus
guard-settings-fallback = Einstellungen des Wächters abgelehnt, die letzten guten gelten
guard-not-real-time = Wächter ohne Echtzeitvorrang
guard-not-locked = Arbeitsspeicher des Wächters nicht festgehalten
guard-not-confined = Wächter nicht ganz eingeschlossen
guard-watchdog-lost = Watchdog nicht scharf
finding-voltage-high = Blockspannung zu hoch
finding-voltage-low = Blockspannung zu niedrig
finding-voltage-deviation = Blockspannung weit von den anderen
finding-voltage-invalid = Blockspannung nicht messbar
finding-voltage-stuck = Messwert der Blockspannung steht still
finding-temperature-high = Blocktemperatur zu hoch
finding-temperature-low = Blocktemperatur zu niedrig
finding-temperature-invalid = Blocktemperatur nicht messbar
finding-temperature-suspect = Temperaturfühler unglaubwürdig
finding-temperature-rise = Block wärmer als seine Umgebung
finding-heating = Block erwärmt sich in der Erhaltungsladung weiter
finding-resistance-high = Innenwiderstand hoch
finding-resistance-critical = Innenwiderstand kritisch
finding-resistance-low = Innenwiderstand unglaubwürdig niedrig
finding-module-lost = Modul antwortet nicht
finding-open-link = Zelle oder Verbinder unterbrochen
finding-shorted-cell = Kurzgeschlossene Zelle
finding-reversed-cell = Umgepolte Zelle
finding-string-voltage-high = Strangspannung zu hoch
finding-string-voltage-low = Strangspannung zu niedrig
finding-charge-current-high = Ladestrom zu hoch
finding-discharge-current-high = Entladestrom zu hoch
finding-float-current-high = Erhaltungsstrom über dem gelernten Wert
finding-loose-link = Lockerer oder korrodierter Verbinder
finding-sum-mismatch = Blockspannungen ergeben nicht die Strangspannung
finding-ground-fault = Erdschluss
finding-equalizing-error = Fehler beim Ausgleichen
finding-runaway = Thermisches Durchgehen
finding-tripped = Abgeschaltet; wartet auf das Rücksetzen
finding-breaker-failed = Schalter hat nicht geöffnet
finding-breaker-unconfirmed = Schalter sollte öffnen, nicht bestätigt
finding-breaker-open = Schalter offen
limit-high = { $quantity } zu hoch
limit-low = { $quantity } zu niedrig
quantity-block-voltage = Blockspannung
quantity-block-deviation = Abweichung vom Sollwert
quantity-block-temperature = Blocktemperatur
quantity-block-resistance = Widerstand über Ausgangswert
quantity-block-charge = Ladezustand
quantity-block-health = Gesundheitszustand
quantity-string-voltage = Strangspannung
quantity-string-current = Strangstrom
quantity-string-charge = Ladezustand
quantity-string-runtime = Überbrückungszeit
quantity-battery-charge = Ladung der USV-Batterie
quantity-battery-runtime = Überbrückungszeit der USV
quantity-battery-temperature = Temperatur der USV-Batterie
quantity-battery-voltage = Spannung der USV-Batterie
quantity-input-voltage = Eingangsspannung
quantity-ups-load = Last der USV
quantity-ups-temperature = Temperatur der USV
quantity-point = Wert

## Ursachen und Urteile

cause-temperature-and-current = thermisches Durchgehen: heißer Block und hoher Erhaltungsstrom
cause-two-temperatures = thermisches Durchgehen: zwei Blöcke heiß und steigend
cause-one-temperature = thermisches Durchgehen: ein Block äußerst heiß und steigend
cause-block-voltage = ein Block fiel unter seine Grenze
cause-string-voltage = der Strang fiel unter seine Grenze
cause-temperature = ein Block wurde zu warm
cause-lost = Messwerte gingen verloren
cause-mains-failed = das Netz fiel aus
cause-refused = die USV lehnte ab
cause-not-started = die Batterie trug die Last nicht innerhalb von 30 s
cause-ended-by-ups = die USV beendete ihn
cause-by-hand = von Hand beendet
cause-restarted = das Gerät wurde neu gestartet
verdict-pass = bestanden
verdict-inconclusive = zu wenig entnommen, um die Blöcke zu beurteilen
verdict-check = die genannten Blöcke prüfen
verdict-fail = nicht bestanden

## Einzelne Worte

level-info = Hinweis
level-notice = Bemerkung
level-warning = Warnung
level-alarm = Alarm
state-raised = nicht quittiert
state-acknowledged = quittiert
state-returned = vorbei, nicht quittiert
state-latched = vorbei, wartet auf das Rücksetzen
state-shelved = zurückgestellt
urgency-now = sofort
urgency-today = heute
urgency-soon = diese Woche
place-appliance = Gerät
place-guard = Wächter
place-bus = Bus { $n }
place-device = Gerät { $n }
place-string = Strang { $n }
place-block = Strang { $n } Block { $block }
place-blocks = { $count ->
    [one] Strang { $n } Block { $blocks }
   *[other] Strang { $n } Blöcke { $blocks }
  }
place-plugin = Plugin { $name }
value-and-limit = { $value } (Grenze { $limit })

## Was zu tun ist

guide-guard-lost =
    .causes = Der Wächter wurde angehalten, ist abgestürzt oder wird erneuert.
    .action = Das Gerät misst und schützt gerade nichts. Sehen Sie selbst nach den Batterien; starten Sie das Gerät neu, wenn der Wächter nicht binnen einer Minute zurückkommt.
guide-bus-lost =
    .causes = Der Buswandler wurde abgesteckt, hat keine Versorgung oder ist defekt.
    .action = Stecker und Versorgung des Wandlers prüfen. Bis er zurück ist, wird keine Batterie an diesem Bus gemessen, ausgeglichen oder geschützt.
guide-cable =
    .causes = Ein Stecker hat sich gelöst, ein Kabel ist durchtrennt oder gequetscht, oder ein Modul in der Leitung ist defekt.
    .action = An der genannten Stelle Stecker und Kabel auf beiden Seiten prüfen.
guide-device-lost =
    .causes = Das Gerät hat keine Versorgung, sein Busstecker fehlt, oder es ist defekt.
    .action = Versorgung und Stecker prüfen. Was es misst oder schaltet, fehlt bis dahin.
guide-module-lost =
    .causes = Das Modul hat keine Verbindung zur Batterie oder zum Bus, seine Sicherung ist durchgebrannt, oder es ist defekt.
    .action = Klemmen, Sicherung und Stecker des Moduls prüfen; tauschen, wenn seine Leuchte dunkel bleibt.
guide-ups-lost =
    .causes = Die USV ist aus, Kabel oder Netzwerk sind unterbrochen, oder ihre Einstellungen wurden geändert.
    .action = Kabel oder Netzwerk prüfen, ebenso Geschwindigkeit oder Community in den Einstellungen des Plugins.
guide-on-battery =
    .causes = Das Netz ist ausgefallen, oder Spannung oder Frequenz liegen außerhalb des Fensters der USV.
    .action = Einspeisung der USV prüfen. Überbrückungszeit beobachten; Lasten rechtzeitig herunterfahren.
guide-battery-low =
    .causes = Das Netz fehlt schon lange, oder die Batterie ist schwach.
    .action = Lasten jetzt herunterfahren: Die USV schaltet in wenigen Minuten ab.
guide-replace-battery =
    .causes = Der Selbsttest der USV ist gescheitert, oder der Tag des Tauschs ist erreicht.
    .action = Mit Widerstand und Gesundheit der Blöcke vergleichen; Batterietest fahren; Tausch planen.
guide-overload =
    .causes = Es wurde mehr Last angeschlossen, oder ein Modul der USV ist ausgefallen.
    .action = Last wegnehmen oder auf eine andere USV legen. Überlastet geht die USV in den Bypass oder schaltet ab.
guide-bypass =
    .causes = Überlast, ein Fehler des Wechselrichters, oder jemand hat umgeschaltet.
    .action = Die Last ist nicht gegen Netzausfall geschützt. Klären, wer oder was umgeschaltet hat.
guide-charger =
    .causes = Die Erhaltungsspannung ist falsch eingestellt, oder die Temperaturkompensation arbeitet nicht.
    .action = Das Ladegerät auf die Spannung stellen, die der Batteriehersteller bei dieser Temperatur verlangt.
guide-store =
    .causes = Der Flash ist voll, verbraucht oder defekt.
    .action = Ereignisse und Verlauf stehen nur im Arbeitsspeicher. Sichern, was gebraucht wird; Speicher tauschen lassen.
guide-certificate =
    .causes = Das installierte Zertifikat gilt weniger als 30 Tage oder nicht mehr.
    .action = Auf der Zertifikatsseite ein neues anfordern und installieren, bevor Browser warnen.
guide-plugin =
    .causes = Das Plugin hat einen Fehler, sein Gerät antwortet anders als erwartet, oder Datei, Signatur oder Einstellungen sind nicht in Ordnung.
    .action = Sein Protokoll auf der Plugin-Seite lesen; zur vorigen Version zurück oder den Hersteller fragen.
guide-guard-settings =
    .causes = Die Einstellungsdatei wurde beschädigt oder von Hand verändert.
    .action = Die letzten guten Einstellungen gelten. Die richtigen neu versiegeln und einspielen.
guide-guard-rights =
    .causes = Der Wächter wurde ohne die nötigen Rechte gestartet.
    .action = Er arbeitet, mit weniger Gewissheit über seine Zeiten. So starten, wie die Installation es beschreibt.
guide-watchdog =
    .causes = Der Watchdog fehlt oder ist belegt.
    .action = Ein hängendes Gerät würde nicht von selbst neu starten. Watchdog in der Installation prüfen.
guide-voltage-high =
    .causes = Ladegerät zu hoch eingestellt, Starkladung zu lang, oder ein Block im Strang ist kurzgeschlossen und die anderen teilen sich seine Spannung.
    .action = Ladespannung prüfen und nach einem zu niedrigen Block suchen. Zu hohe Spannung trocknet Blöcke aus und erwärmt sie.
guide-voltage-low =
    .causes = Entladung, ein ausgeschaltetes Ladegerät, oder eine kurzgeschlossene oder leere Zelle.
    .action = In der Erhaltungsladung das Ladegerät prüfen und den Block von Hand messen; in der Entladung die Überbrückungszeit beachten.
guide-deviation =
    .causes = Ein Block anderen Alters oder Fabrikats, eine schwache Zelle, ein warmer Platz, oder ein Bypass, der nicht nachkommt.
    .action = Abwarten, ob das Ausgleichen ihn in Tagen zurückbringt. Driftet er wieder, den Block prüfen.
guide-sensor =
    .causes = Eine lose Messklemme, ein defekter Fühler, oder ein Modul am falschen Block.
    .action = Klemmen prüfen und von Hand messen; Modul tauschen, wenn beide sich widersprechen.
guide-temperature-high =
    .causes = Warmer Raum, verstellte Luft, hohe Ladung, oder ein Block, der sich selbst erwärmt.
    .action = Lüftung und Raum prüfen. Zehn Kelvin mehr halbieren das Leben der Batterie.
guide-temperature-low =
    .causes = Kalter Raum oder Zugluft.
    .action = In der Kälte ist die Kapazität kleiner; Heizung und Temperaturkompensation prüfen.
guide-heating =
    .causes = Erhaltungsspannung zu hoch, kurzgeschlossene Zelle, schlechte Kühlung, oder beginnendes thermisches Durchgehen.
    .action = Mit den Nachbarn vergleichen, Ladegerät prüfen, Raum kühlen. Steigt es weiter, den Strang abschalten.
guide-runaway =
    .causes = Wärme und Erhaltungsstrom treiben einander hoch.
    .action = Abstand halten, lüften, den Schalter nicht schließen. Heiße Blöcke vor dem Rücksetzen tauschen.
guide-breaker =
    .causes = Ein klemmender Schalter, eine defekte Spule oder Rückmeldung, oder jemand hat von Hand geschaltet.
    .action = Den Schalter vor Ort prüfen. Sollte er offen sein und ist es nicht, von Hand öffnen, wenn das gefahrlos geht.
guide-resistance =
    .causes = Alterung, Austrocknung, Korrosion oder ein loser Verbinder.
    .action = Verbinder reinigen und nachziehen, neu messen. 50 % über dem Ausgangswert: Block tauschen; weniger: Kapazität prüfen.
guide-link =
    .causes = Ein loser oder korrodierter Verbinder zwischen Blöcken, oder eine unterbrochene Zelle.
    .action = Den Strang nicht belasten. Jeden Verbinder auf Wärme und Drehmoment prüfen; über jedem Block messen.
guide-cell =
    .causes = Eine Zelle im Block ist kurzgeschlossen, oder leer und umgepolt.
    .action = Den Block bald tauschen: Er überlädt oder überlastet die anderen.
guide-charge-current =
    .causes = Wiederaufladung nach einem Ausfall, eine zu hohe Strombegrenzung, oder eine kurzgeschlossene Zelle.
    .action = Strombegrenzung des Ladegeräts prüfen. In der Erhaltungsladung nach heißen oder niedrigen Blöcken suchen.
guide-discharge-current =
    .causes = Mehr Last als geplant, oder ein anderer Strang fehlt.
    .action = Last und Schalter der anderen Stränge prüfen.
guide-sum =
    .causes = Eine lose Messleitung, ein Verbinder mit Spannungsabfall, oder ein falsch skalierter Eingang.
    .action = Den Strang von Hand messen und mit beiden Werten vergleichen.
guide-ground =
    .causes = Ausgelaufene Säure, beschädigte Isolierung oder Feuchte.
    .action = Stromschlag- und Brandgefahr: Pole nicht berühren. Die Stelle von einer Elektrofachkraft suchen lassen.
guide-equalizing =
    .causes = Ein Block braucht mehr Bypass, als ein Modul hat, oder sein Modul schaltet nicht.
    .action = Den genannten Block prüfen; sein Modul tauschen, wenn der Bypass aus bleibt.
guide-charge =
    .causes = Eine Entladung, ein ausgeschaltetes Ladegerät oder eine gealterte Batterie.
    .action = Prüfen, ob der Strang geladen wird; bis dahin die Überbrückungszeit beachten.
guide-health =
    .causes = Alter, Wärme, tiefe Entladungen.
    .action = Unter 90 % jährlich prüfen, unter 80 % tauschen.
guide-input-voltage =
    .causes = Störung in der Einspeisung, oder ein falsch eingestellter Eingang der USV.
    .action = Einspeisung prüfen; außerhalb ihres Fensters geht die USV auf Batterie.
guide-limit =
    .causes = Der Wert hat die Schwelle überschritten, die für ihn gesetzt ist.
    .action = Mit früheren Werten dieses Punkts vergleichen; die Schwelle ändern, wenn sie zu streng ist.

## Die Alarmseite

page-alarms = Alarme
page-none = Keine Alarme.
page-level = Stufe
page-what = Alarm
page-where = Wo
page-value = Wert
page-since = Seit (UTC)
page-state = Zustand
page-act = Tun
page-members = { $count ->
    [one] Eine Stelle
   *[other] { VALUE($count) } Stellen
  }
page-causes = Wahrscheinliche Ursachen
page-action = Was zu tun ist
page-urgency = Wie bald
page-note = Bemerkung
page-reason = Grund
page-hours = Für Stunden
page-acknowledge = Quittieren
page-shelve = Zurückstellen
page-unshelve = Zurückholen
page-reset = Zurücksetzen
page-acknowledged-by = Quittiert von { $user }, { TIME($unix_ms) }
page-shelved-by = Zurückgestellt von { $user } bis { TIME($until_ms) }
page-flapping = Kommt und geht
page-full = Es gibt mehr Alarme, als gehalten werden können; die geringsten fehlen.
page-live = Live-Seite
page-sign-out = Abmelden
page-password = Kennwort
page-language = Sprache
page-unsaved = Der Zustand der Alarme kann gerade nicht gesichert werden; nach einem Neustart werden sie neu gemeldet.

action-log = „{ $text }“ ins Protokoll schreiben
action-output-on = Ausgang { $output } von Gerät { $device } einschalten
action-output-off = Ausgang { $output } von Gerät { $device } ausschalten
action-relay-up = das Alarmrelais anziehen lassen
action-relay-down = das Alarmrelais abfallen lassen
action-mute = den Summer stumm schalten
action-signal-end = das Signal des Geräts beenden
action-signal-lamp = die Lampe des Geräts { $seconds } s lang blinken lassen
action-signal = den Summer { $seconds } s lang ertönen lassen
action-lamp = die Lampe der Adresse { $address } an Bus { $bus } leuchten lassen
action-command = { $target } befehlen: { $command }
action-notify = { $plugin } benachrichtigen
action-webhook = an { $to } senden
action-wake-on-lan = { $mac } über { $to } wecken
action-sequence = den Ablauf { $sequence } beginnen
