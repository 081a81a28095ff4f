### Die Seiten der Bedienoberfläche.

## Überall
page-menu = Menü
page-where-you-are = Wo Sie sind
page-accounts = Konten
page-plugins = Plugins
page-events = Ereignisse
page-thresholds = Grenzwerte
page-automation = Regeln und Aufträge
page-schedule = Kalender
page-audit = Prüfprotokoll
page-discharges = Entladungen
page-show = Zeigen
page-save = Speichern
page-saved = Gespeichert und in Kraft.
page-preview = Vorschau
page-not-saved = Davon ist noch nichts gespeichert.
page-yes = ja
page-no = nein
page-off = aus
page-ok = in Ordnung
page-done = getan
page-all = alle
page-when = Wann (UTC)
page-older = Ältere
page-newest = Neueste
page-number = Nr.
page-no-time = Das ist keine Zeit; schreiben Sie sie wie 2026-11-21T07:52.
page-number-wanted = Eine Zahl von { $low } bis { $high }.

## Grenzwerte
page-thresholds-help = Was leer bleibt, wird geerbt: vom System zum Batterietyp, von dort zum Strang und zum Block. Der Schutz hat eigene Grenzen, die bleiben, was immer hier steht.
page-scope = Für
page-also-set = Auch gesetzt für:
page-whole-system = Ganzes System
page-battery-type = Batterietyp { $name }
page-built-in = eingebaut
page-set-here = hier gesetzt
page-limits = Grenzen
page-no-quantities = Hier kann nichts einen Grenzwert haben.
page-quantity = Größe
page-warning-at = Warnung
page-alarm-at = Alarm
page-hysteresis = Hysterese
page-delay = Verzögerung, s
page-off-delay = Nachlauf, s
page-latch = Bis zur Rückstellung
page-only-while = Nur während:
page-inherit = Alles erben
page-thresholds-changed = Inzwischen hat jemand anders die Grenzwerte geändert. Sehen Sie sie an und speichern Sie noch einmal.
page-preview-sentence = Mit diesen Grenzen { $alarm ->
    [0] alarmiert keine Stelle
    [one] alarmiert eine Stelle
   *[other] alarmieren { VALUE($alarm) } Stellen
  } und { $warning ->
    [0] keine warnt jetzt
    [one] eine warnt jetzt
   *[other] { VALUE($warning) } warnen jetzt
  }; in den letzten 30 Tagen { $past_alarm ->
    [0] hätte keine alarmiert
    [one] hätte eine alarmiert
   *[other] hätten { VALUE($past_alarm) } alarmiert
  } und { $past_warning ->
    [0] keine gewarnt
    [one] eine gewarnt
   *[other] { VALUE($past_warning) } gewarnt
  }.
page-preview-remark = { VALUE($values) } Werte der Vergangenheit wurden angesehen. Sie liegen Minuten auseinander: die Vergangenheit ist gezählt, soweit sie es zeigen. Was kürzer als seine Verzögerung jenseits einer Grenze lag, kann mitgezählt sein; was nur zwischen zwei Werten jenseits lag, ist es nicht.
page-preview-without = Der Verlauf enthält nichts von: { $what }. Davon ist die Vergangenheit nicht gezählt.

## Ereignisse und Prüfprotokoll
page-at-least = Mindestens
page-category = Bereich
page-category-battery = Batterie
page-category-ups = USV
page-category-plugin = Plugin
page-category-system = Gerät
page-category-access = Zugang
page-about = Objekt oder Wörter
page-from = Von (UTC)
page-to = Bis (UTC)
page-event = Ereignis
page-no-events = Keine solchen Ereignisse.
page-audit-state = Ist das Protokoll vollständig?
page-audit-help = Jeder Eintrag ist an den vorigen gekettet, und das Gerät siegelt die Kette mit seinem Schlüssel. Die Prüfung geht sie ganz durch.
page-audit-check = Jetzt prüfen
page-audit-export = Herunterladen
page-audit-whole = Vollständig: Einträge { VALUE($first) } bis { VALUE($last) }, { $seals ->
    [one] ein Siegel
   *[other] { VALUE($seals) } Siegel
  }.
page-audit-gaps = Unverändert, mit { $missing ->
    [one] einer Lücke
   *[other] { VALUE($missing) } Lücken
  }, die das Gerät nach einem Schaden selbst meldet: Einträge { VALUE($first) } bis { VALUE($last) }.
page-audit-broken = Nicht vollständig: { $fault }
page-audit-unreadable = Manche Zeilen können nicht gelesen werden. Prüfen Sie das Protokoll.
page-audit-filter = Wer, was oder von wo
page-audit-seal = Vom Gerät gesiegelt
page-no-entries = Keine solchen Einträge.
page-who = Wer
page-from-where = Von wo
page-did = Was
page-result = Ergebnis

## Stränge und Blöcke
page-block = Block
page-blocks = Blöcke
page-string = Strang
page-old-values = Der Wächter antwortet nicht: diese Werte sind alt.
page-phase = Phase
page-phase-float = Erhaltung
page-phase-boost = Starkladung
page-phase-discharge = Entladung
page-phase-recharge = Wiederladung
page-phase-unknown = nicht bekannt
page-current = Strom
page-string-voltage = Strangspannung
page-voltage = Spannung
page-deviation = Abweichung vom Sollwert
page-target = Sollwert
page-worst = Größte Abweichung
page-ambient = Lufttemperatur
page-temperature = Temperatur
page-resistance = Innenwiderstand
page-charge = Ladezustand
page-capacity = Kapazität
page-health = Gesundheit
page-life = Jahre übrig
page-runtime = Laufzeit
page-breaker = Trennschalter
page-charger = Ladegerät
page-equalizing = Ausgleich
page-bypass = Bypass
page-activity = Was an ihm getan wird
page-age = Alter der Werte
page-bus = Bus / Adresse
page-serial = Seriennummer
page-pause = Ausgleich anhalten
page-pause-for = Für Stunden
page-pause-wanted = Eine Pause dauert 1 bis 168 Stunden.
page-resume = Ausgleich fortsetzen
page-reset-trip = Auslösung zurückstellen
page-test = Batterietest beginnen
page-stop-test = Batterietest beenden
page-locate = Lampe blinken lassen
page-lamp-lit = Die Lampe des Moduls blinkt zwei Minuten lang.
page-measure = Widerstand messen
page-measuring = Der Widerstand wird gemessen.
page-column-voltage = V
page-column-deviation = Abweichung, mV
page-column-temperature = °C
page-column-resistance = mΩ
page-column-charge = Ladung, %
page-column-health = Gesundheit, %
page-column-bypass = Bypass, %
page-trends = Verlauf
page-span-1h = 1 Stunde
page-span-24h = 24 Stunden
page-span-7d = 7 Tage
page-span-30d = 30 Tage
page-span-1y = 1 Jahr
page-chart-blocks = Blockspannungen, niedrigste bis höchste
page-chart-temperatures = Blocktemperaturen, niedrigste bis höchste
page-chart-summary = Von { $low } bis { $high }, zuletzt { $last }.
page-chart-nothing = Für diese Zeit ist nichts aufgezeichnet.
page-as-table = Als Tabelle
page-lowest = Niedrigste
page-mean = Mittel
page-highest = Höchste

## Entladungen
page-discharge = Entladung
page-no-discharges = Keine Entladung ist aufgezeichnet.
page-of-all-strings = Die aller Stränge
page-began = Beginn (UTC)
page-duration = Dauer
page-drawn = Entnommen
page-energy = Energie
page-mean-power = Mittlere Leistung
page-depth = Von der Kapazität
page-weakest = Schwächster Block
page-collapsed = Eingebrochen, in dieser Folge
page-no-block = keiner
page-interruptions = Netz kam zurück und fiel wieder aus
page-ended = Ende
page-joined-late = Von der Mitte an aufgezeichnet
page-gaps = Lücken der Aufzeichnung
page-order = Folge, in der Blöcke einbrachen
page-order-short = Folge
page-no-collapse = Kein Block ist eingebrochen.
page-replay = Augenblick für Augenblick
page-no-rows = Der Verlauf dieser Entladung ist nicht mehr da.
page-moment = Augenblick
page-compare-with = Daneben
page-beside = Daneben:
page-then = V dann
page-apart = Vom Mittel, mV
page-before = Davor, V
page-end = Am Ende, V
page-after = Danach, V
page-other-end = Andere, am Ende, V
page-difference = Unterschied, mV

## Regeln, Aufträge, Kalender
page-jobs = Aufträge
page-job = Auftrag
page-no-jobs = Keine Aufträge.
page-new-job = Neuer Auftrag
page-starts-on = Beginnt bei
page-timing = Wann
page-does = Tut
page-undo = Wenn es vorbei ist
page-waiting = Wartend
page-last-outcome = Letztes Ergebnis
page-rules = Regeln
page-rule = Regel
page-no-rules = Keine Regeln.
page-new-rule = Neue Regel
page-now = Jetzt
page-true = wahr
page-false = falsch
page-expression = Ausdruck
page-expression-help = Zum Beispiel
page-document = Als Text
page-document-show = Alles als ein Dokument
page-document-help = Regeln, Aufträge, Abläufe und Kalender (TOML)
page-take-into-force = In Kraft setzen
page-automation-changed = Inzwischen hat jemand anders Regeln, Aufträge oder Kalender geändert. Laden Sie das Formular neu und ändern Sie es noch einmal.
page-name = Name
page-name-wanted = Ein Name hat 1 bis 40 von a-z, 0-9 und „-“.
page-name-taken = Es gibt einen anderen dieses Namens.
page-needed = Das wird gebraucht.
page-whole-number = Eine ganze Zahl.
page-when-wanted = Nennen Sie ein Ereignis, einen Bereich oder eine Stufe.
page-any-event = jedes
page-fields = Felder des Ereignisses
page-fields-help = Je Zeile eines, Name = Wert; mehrere Werte mit Kommas. Beispiel: ups = ups.0
page-fields-wanted = Je Zeile eines, Name = Wert.
page-times = Wie oft im Ganzen
page-every-s = Alle, s
page-coalesce = Eines von vielen in, s
page-only-if-still = nur, wenn es dann noch wahr ist
page-after-delay = nach { $time }
page-repeated = { VALUE($times) }-mal, alle { $time }
page-one-of-many = eines von vielen in { $time }
page-action-kind = Was getan wird
page-undo-kind = Was dann getan wird
page-no-undo = nichts
page-choose = Wählen
page-try = Trocken ausprobieren
page-remove = Entfernen
page-confirm-legend = Zu bestätigen
page-confirm = Das kann schaden. Kreuzen Sie an, was Sie dennoch wollen, und speichern Sie noch einmal:
page-unknown = Solange ein Eingang nicht bekannt ist
page-unknown-false = ist sie falsch
page-unknown-true = ist sie wahr
page-unknown-hold = bleibt sie, wie sie war
page-rule-text = Was sie sagt; leer: ihr Name
page-rule-tells = Meldet, wenn sie wahr wird und wenn sie vorbei ist
page-job-for-this = Neuer Auftrag dafür
page-do-log = Ins Ereignisprotokoll schreiben
page-do-output = Ausgang schalten
page-do-alarm-relay = Alarmrelais von Hand
page-do-mute = Summer stumm schalten
page-do-signal = Summer und Lampe des Geräts
page-do-lamp = Lampe eines Moduls oder Geräts
page-do-command = Einer USV oder dem Gerät befehlen
page-do-notify = Durch einen Melder mitteilen
page-do-webhook = An einen Webserver senden
page-do-wake-on-lan = Einen Rechner wecken
page-do-sequence = Ablauf beginnen
page-do-day = Alle so viele Tage
page-do-week = Jede Woche
page-do-month = Jeden Monat
page-do-month-weekday = Wochentag jedes Monats
page-do-year = Jedes Jahr
page-do-minutes = Alle so viele Minuten
page-do-once = Einmal
page-param-text = Text
page-param-severity = Stufe
page-param-device = Gerät
page-param-output = Ausgang
page-param-on = An / am
page-param-healthy = Angezogen
page-param-tone = Ton
page-param-lamp = Lampe blinkt
page-param-seconds = Für Sekunden
page-param-bus = Bus
page-param-address = Adresse
page-param-target = Wem, z. B. ups.0
page-param-command = Befehl, z. B. shutdown.return
page-param-value = Wert, falls nötig
page-param-plugin = Melder
page-param-to = An
page-param-mac = Netzwerkkarte (MAC)
page-param-secure-on = SecureOn-Kennwort
page-param-sequence = Ablauf
page-param-at = Um
page-param-days = Alle … Tage
page-param-weekdays = Am
page-param-day = Tag; −1 ist der letzte des Monats
page-param-nth = Der wievielte, 1 bis 4; −1 ist der letzte
page-param-weekday = Wochentag
page-param-month = Monat, 1 bis 12
page-param-minutes = Minuten
page-param-window = Nur innerhalb, z. B. 08:00-18:00 mon-fri
page-word-yes = ja
page-word-no = nein
page-word-info = Information
page-word-warning = Warnung
page-word-alarm = Alarm
page-word-slow = langsam
page-word-rare = selten
page-word-steady = dauernd
page-word-silent = stumm
page-word-mon = Mo
page-word-tue = Di
page-word-wed = Mi
page-word-thu = Do
page-word-fri = Fr
page-word-sat = Sa
page-word-sun = So

## Trockenlauf
page-rehearsal = Trockenlauf
page-rehearsal-help = Die Regeln und Aufträge in Kraft gehen durch die aufgezeichnete Vergangenheit oder durch ein Drehbuch, in gedachter Zeit. Getan wird nichts: kein Ausgang wird geschaltet, nichts gesendet, keiner USV etwas befohlen.
page-rehearsal-outage = Was bei einem Netzausfall von einer halben Stunde geschähe, mit diesem Auftrag.
page-job-would-do = Auftrag { $job }: { $action }
page-job-would-undo = Auftrag { $job }: { $action }, um es zurückzunehmen
page-not-recorded = Nicht aufgezeichnet und als nicht bekannt genommen; was Regeln davon lesen, konnte nicht angesehen werden:
page-log-begins = Das Protokoll beginnt erst am { $at }: was davor geschah, ist nicht bekannt.
page-not-simulated = Nicht erprobt: nichts, was aus den Punkten dieses Skripts folgt, kann diese Aufträge beginnen:
page-nothing-was-done = Davon wurde nichts getan.
page-nothing-happens = Nichts würde geschehen.
page-would-happen = Was geschähe
page-would-do = täte
page-in-the-past = Durch die aufgezeichnete Vergangenheit
page-last-days = Letzte Tage
page-in-a-script = Durch ein Drehbuch
page-script = Drehbuch (TOML)
page-go-through = Durchgehen
page-after-start = Nach dem Anfang
page-what-kind = Art
page-what-happens = Was

## Kalender
page-no-calendar = Der Kalender ist leer.
page-entry = Eintrag
page-new-entry = Neuer Eintrag
page-how-often = Wie oft
page-rhythm = Rhythmus
page-next-runs = Nächste Male
page-show-runs = Die nächsten Male zeigen
page-never-again = nie wieder
page-missed = Wenn er versäumt wurde
page-missed-skip = Er fällt aus.
page-missed-run-once = Er wird so bald wie möglich nachgeholt.
page-missed-within = Er wird nachgeholt, außer nach mehr als { VALUE($hours) } h.
page-missed-hours = Er wird nachgeholt, wenn es nicht zu spät ist:
page-nothing-starts = beginnt keinen Auftrag
page-zone = Zeitzone
page-zone-name = Zeitzone, wie Europe/Berlin
page-not-before = Nicht vor
page-not-after = Nicht nach
page-rhythm-minutes = alle { VALUE($minutes) } min { $window }
page-rhythm-day = { $days ->
    [one] jeden Tag um { $at }
   *[other] alle { VALUE($days) } Tage um { $at }
  }
page-rhythm-week = { $weekdays } um { $at }
page-rhythm-month = { $day ->
    [-1] letzter Tag des Monats um { $at }
   *[other] Tag { $day } des Monats um { $at }
  }
page-rhythm-month-weekday = { $nth ->
    [-1] letzter { $weekday } des Monats um { $at }
   *[other] { $weekday } Nr. { $nth } des Monats um { $at }
  }
page-rhythm-year = jedes Jahr, Monat { $month } Tag { $day } um { $at }
page-rhythm-once = am { $on } um { $at }

## Firmware
page-firmware = Firmware
page-firmware-none = Dieses Gerät hat keine Plätze für Firmware: Wer seinen Rechner betreibt, aktualisiert es.
page-firmware-program = Version des Programms
page-firmware-runs = Was läuft
page-firmware-version = Version
page-slot = Platz
page-firmware-started = Gestartet, weil
page-firmware-epoch = Epoche
page-firmware-keyring = Nummer des geltenden Schlüsselbunds
page-firmware-root = Wurzel des Hashbaums
page-firmware-development = Mit einem Entwicklungsschlüssel signiert: für die Werkstatt, nicht für eine Anlage.
page-firmware-trial = Sie hat sich noch nicht bewährt: seit { $healthy } gesund, { $tries ->
    [one] ein Start bleibt ihr
   *[other] { VALUE($tries) } Starts bleiben ihr
  }. { $missing }
page-firmware-without = Plugins, die vorher liefen und jetzt nicht, worauf nicht gewartet wird: { $plugins }.
page-firmware-now = Darf sie jetzt gewechselt werden?
page-firmware-may = Nichts spricht dagegen.
page-firmware-may-not = Nicht jetzt. Messen und Schützen gehen vor:
page-hindrance-no-guard = der Wächter antwortet nicht
page-hindrance-on-battery = { $what } speist die Last aus der Batterie
page-hindrance-not-charged = { $what } ist noch nicht geladen
page-hindrance-test = Batterietest { VALUE($test) } läuft
page-hindrance-alarm = { $what } hat einen Alarm
page-firmware-other = Der andere Platz
page-slot-empty = leer
page-slot-writing = wird beschrieben
page-slot-ready = bereit zum Start
page-slot-trial = auf Probe
page-slot-good = gut, lief schon
page-slot-bad = schlecht
page-firmware-progress = Version { $version }: { VALUE($taken) } von { VALUE($total) } KiB sind da.
page-look-again = Noch einmal nachsehen
page-firmware-goes-on = Senden Sie dieselbe Datei noch einmal, um dort fortzufahren, wo sie abbrach.
page-firmware-file = Ein signiertes Firmware-Paket (.evkf)
page-upload = Hochladen
page-firmware-help = Es wird Stück für Stück geprüft, während es kommt, und noch nichts startet. Was läuft, läuft weiter.
page-firmware-activate = Damit neu starten
page-firmware-go-back = Mit dem anderen Platz neu starten
page-firmware-abandon = Aufgeben
page-firmware-way-back = Rückweg
page-firmware-open = Ältere Firmware darf noch starten; nach { $after } gesundem Lauf nicht mehr
page-firmware-closed = Firmware einer niedrigeren Epoche startet nicht mehr
page-firmware-make-permanent = Endgültig machen
page-firmware-permanent-confirm = Ältere Firmware mit einer bekannten Lücke startet nie wieder, auch nicht, wenn ich es will.
page-firmware-permanent-wanted = Haken Sie an, dass ältere Firmware nie wieder starten darf.
page-firmware-permanent = Was läuft, ist endgültig: Ältere Firmware mit einer bekannten Lücke startet nicht mehr.
page-firmware-confirm = Die Konsole ist etwa eine Minute lang fort; der Schutz läuft weiter.
page-firmware-confirm-wanted = Haken Sie an, dass das Gerät neu starten darf.
page-firmware-taken = Die Firmware ist da und vollständig. Sie startet, wenn Sie es sagen.
page-firmware-abandoned = Aufgegeben; der Platz kann wieder benutzt werden.
page-firmware-restarts = Das Gerät startet jetzt neu. Laden Sie diese Seite in etwa einer Minute neu.
page-factory = Zurück zum Zustand ab Werk
page-factory-help = Alles Gespeicherte wird gelöscht und kommt nicht wieder: Benutzer, auch die Einstellungen der Batterien, Verlauf, Protokolle, Plugins, Lizenzen, Schlüssel und Zertifikat. Firmware, ihr Rückweg und die Seriennummer bleiben. Das Gerät startet neu; sein erstes Passwort steht wieder auf der seriellen Konsole.
page-factory-serial = Geben Sie zur Bestätigung die Seriennummer dieses Geräts ein (Seite Lizenz)
page-factory-button = Alles löschen
page-factory-wrong = Das ist nicht die Seriennummer dieses Geräts; nichts wurde getan.
page-factory-begun = Das Gerät startet jetzt neu und löscht alles. Alle sind abgemeldet.

## Lizenz
page-licence = Lizenz
page-licence-edition = Ausgabe
page-licence-serial = Seriennummer des Geräts
page-licence-reason = Warum
page-licence-judge = Beurteilt von
page-licence-nobody = niemandem, darum gilt LC
page-licence-until = Wird wieder beurteilt
page-licence-no-end = wenn sich etwas ändert
page-licence-grace = Niemand beurteilt gerade Lizenzen. Die Ausgabe gilt noch { VALUE($hours) } h, dann LC; sehen Sie unter den Plugins nach der Lizenzprüfung.
page-licence-limits = Was begrenzt ist
page-licence-unlimited = Nichts ist begrenzt.
page-licence-blocks = Werte der ersten { VALUE($blocks) } Blöcke werden gezeigt und aufbewahrt.
page-licence-ups = Werte einer USV bis { $power } werden gezeigt und aufbewahrt.
page-licence-blocks-over = { $blocks ->
    [one] Ein Block liegt
   *[other] { VALUE($blocks) } Blöcke liegen
  } über der Lizenz: nur zur Sicherheit überwacht.
page-licence-ups-over = { $ups } liegt über der Lizenz: nur Zustand und Alarme.
page-licence-never = Der Schutz ist nie begrenzt. Jeder Block wird gemessen, ausgeglichen und geschützt, und jeder Alarm wird gemeldet, mit jeder Lizenz und ohne.
page-licence-files = Lizenzdateien
page-licence-no-files = Keine: Dies ist die Ausgabe LC.
page-licence-signed = von einem vertrauten Schlüssel signiert
page-licence-file = Eine Lizenzdatei (.evkl) für diese Seriennummer

## Webhooks
page-webhooks = Webhooks
page-webhook = Webserver
page-webhooks-help = Webserver, denen Jobs etwas melden dürfen. Jede Nachricht ist mit dem Schlüssel des Servers signiert.
page-no-webhooks = Noch kann kein Job einem Webserver etwas melden.
page-new-webhook = Webserver hinzufügen
page-webhook-url = Adresse
page-webhook-url-help = Wie https://rechner/pfad; http nur, wo dem Netz vertraut wird.
page-webhook-key = Schlüssel
page-webhook-key-help = 16 bis 256 Bytes. Leer: Der vorhandene bleibt, und ein neuer Webserver bekommt einen zufälligen.
page-webhook-key-once = Geben Sie ihn jetzt dem Webserver: Er kann nicht noch einmal gezeigt werden.
page-webhook-ca = Eigene Zertifizierungsstellen
page-webhook-ca-help = Zertifikate als PEM; leer: die des Systems.
page-webhook-server-name = Name in seinem Zertifikat
page-webhook-server-name-help = Wenn es nicht der Rechner der Adresse ist.
page-webhook-pin = Fingerabdruck seines Zertifikats
page-webhook-pin-help = SHA-256 in Hex; dann wird nichts anderes geprüft.
page-webhook-test = Test
page-webhook-send = Testnachricht senden
page-webhook-took = { $name } hat die Nachricht angenommen.
page-webhook-took-not = { $name } hat die Nachricht nicht angenommen: { $reason }
page-certificate = Zertifikat
page-certificate-shown = Was Browser zu sehen bekommen
page-certificate-subject = Für
page-certificate-names = Hostnamen und Adressen
page-certificate-issuer = Ausgestellt von
page-certificate-issuers = Mitgeschickt
page-certificate-key = Schlüssel
page-certificate-from = Gültig ab
page-certificate-until = Gültig bis
page-certificate-fingerprint = SHA-256
page-certificate-source = Herkunft
page-certificate-own = Vom Gerät selbst gemacht; Browser warnen
page-certificate-installed = Von einem Administrator installiert
page-certificate-trial = Auf Probe, noch { $seconds ->
        [one] 1 Sekunde
       *[other] { $seconds } Sekunden
    }
page-certificate-trial-help = Die Konsole in einem anderen Fenster unter der üblichen Adresse öffnen. Erscheint sie ohne Warnung, hier bestätigen; sonst kommt das vorige Zertifikat von selbst wieder.
page-certificate-confirm = Dieses Zertifikat behalten
page-certificate-give-up = Zurück zum vorigen
page-certificate-on-trial = Das Zertifikat ist angenommen und auf Probe.
page-certificate-kept = Das Zertifikat ist installiert.
page-certificate-given-up = Das vorige Zertifikat gilt wieder.
page-certificate-removed = Das Gerät zeigt wieder sein eigenes Zertifikat.
page-certificate-remove = Installiertes Zertifikat entfernen
page-certificate-remove-help = Sein Schlüssel wird mit entfernt; das Gerät zeigt wieder sein eigenes Zertifikat.
page-certificate-request = Zertifikat anfordern
page-certificate-requested = Anforderung für Ihre Zertifizierungsstelle
page-certificate-request-help = Diesen Text der Zertifizierungsstelle geben und unten installieren, was sie schickt. Der Schlüssel bleibt im Gerät.
page-certificate-waits = Eine Anforderung wartet auf ihr Zertifikat; eine neue macht sie ungültig.
page-certificate-names-help = Einer je Zeile, der übliche zuerst; höchstens 20.
page-certificate-organisation = Organisation (falls die Zertifizierungsstelle sie will)
page-certificate-ask = Anforderung erstellen
page-certificate-install = Zertifikat installieren
page-certificate-install-help = PEM-Text mit dem Zertifikat und denen zwischen ihm und seiner Stelle; mit seinem Schlüssel, wenn es nicht hier angefordert wurde.
page-certificate-file = Datei (.pem)

page-network = Netz und Uhrzeit
page-network-now = Wie es ist
page-network-interface = Schnittstelle
page-network-link = Kabel
page-network-up = verbunden
page-network-down = nicht verbunden
page-network-addresses = Adressen
page-network-address = Adresse mit Präfix
page-network-gateway = Gateway
page-network-lent = Von einem Server geliehen
page-network-lease = { $server }, noch { $minutes ->
        [one] 1 Minute
       *[other] { $minutes } Minuten
    }
page-network-host-name = Rechnername
page-network-dns-asked = Nach Namen gefragt
page-network-clock = Uhr
page-network-ntp-asked = Nach der Zeit gefragt
page-network-synchronized = Uhr gestellt oder geprüft
page-network-ago = { $seconds ->
        [one] vor 1 Sekunde
       *[other] vor { $seconds } Sekunden
    }
page-network-offset = Sie ging falsch um
page-network-ms = { $ms } ms
page-network-time-problem = Störung der Zeit
page-network-change = Ändern
page-network-change-help = Eine Änderung gilt zwei Sekunden nach dem Absenden, und auf Probe: Wird sie nicht rechtzeitig behalten, kommt das Netz von vorher von selbst zurück, auch nach einem Stromausfall.
page-network-dhcp = von einem Server (DHCP)
page-network-auto = von Routern (SLAAC)
page-network-own = eigene Adresse
page-network-off = aus
page-network-dns = Server für Namen
page-network-dns-help = Adressen, eine je Zeile, höchstens 3; leer: die gelernten.
page-network-ntp-how = Zeit
page-network-learned = von gelernten Servern
page-network-ntp-own = von diesen Servern
page-network-ntp-off = niemand wird gefragt
page-network-ntp = Server für die Zeit
page-network-ntp-help = Namen oder Adressen, eine je Zeile, höchstens 4; mit dreien wird einer überstimmt, der lügt.
page-network-within = Sekunden, in denen es zu behalten ist (10 bis 600)
page-network-try = Dieses Netz ausprobieren
page-network-trial-title = Auf Probe
page-network-trial = Das Netz von vorher kommt in { $seconds ->
        [one] 1 Sekunde
       *[other] { $seconds } Sekunden
    } zurück
page-network-trial-help = Öffnen Sie die Konsole unter der Adresse, die das Gerät jetzt hat, melden Sie sich dort an, und behalten Sie das Netz auf dieser Seite.
page-network-confirm = Dieses Netz behalten
page-network-give-up = Zurück zum vorigen
page-network-on-trial = Das Netz ist auf Probe. Öffnen Sie diese Seite unter ihrer neuen Adresse, melden Sie sich an, und behalten Sie es.
page-network-kept = Das Netz wird behalten.
page-network-given-up = Das Netz von vorher ist wieder da.

page-factor = Zweiter Faktor
page-factor-off = Aus
page-factor-on = Ein seit
page-factor-help = Damit braucht die Anmeldung neben dem Kennwort einen Code, den eine App auf Ihrem Telefon zeigt. Jede App für Einmalcodes (TOTP) ist recht.
page-factor-elsewhere = Ihr Konto wird anderswo geführt, auch sein zweiter Faktor.
page-factor-password = Ihr Kennwort
page-factor-begin = Einschalten
page-factor-new = Das Gerät in die App aufnehmen
page-factor-new-help = Die App das Bild lesen lassen oder das Geheimnis eintippen. Danach den Code eingeben, den sie zeigt.
page-factor-picture = Bild des Geheimnisses für die App
page-factor-open = In einer App auf diesem Gerät öffnen
page-factor-code = Code der App
page-factor-any-code = Code der App oder ein Wiederherstellungscode
page-factor-confirm = Bestätigen
page-factor-codes = Wiederherstellungscodes
page-factor-codes-help = Jeder gilt einmal ohne das Telefon. Jetzt an einen sicheren Ort abschreiben: Sie werden nicht noch einmal gezeigt.
page-factor-left = { $count ->
    [one] Ein Wiederherstellungscode ist übrig.
   *[other] { $count } Wiederherstellungscodes sind übrig.
}
page-factor-remove = Ausschalten
page-factor-required = Die Rolle { $role } verlangt einen zweiten Faktor.
page-factor-first = Vorher öffnet sich nichts anderes.
page-factor-go-on = Ich habe sie abgeschrieben: weiter
page-factor-stays = Er lässt sich nicht ausschalten. Für ein anderes Telefon entfernt ihn ein Administrator auf der Seite „Konten“; die nächste Anmeldung schaltet einen neuen ein.
## Konfiguration
page-configuration = Konfiguration
page-documents = Dokumente
page-document-thresholds = Schwellen
page-document-automation = Regeln, Jobs und Kalender
page-document-webhooks = Webhooks
page-document-login = Anmeldung über andere
page-document-second-factor = Verlangter zweiter Faktor
page-document-site = Standort
page-document-configuration = Die eigene Datei des Geräts
page-revision = Stand
page-revisions = Stände
page-never-changed = Nie geändert: Es gilt, was eingebaut ist.
page-configuration-export = Mitnehmen
page-configuration-export-help = Eine lesbare Datei mit dem, was Sie hier sehen dürfen. Geheimnisse stehen nicht darin, ebenso wenig Benutzer, Rollen, Token, Schlüssel, Zertifikate und Lizenzen.
page-configuration-file = Datei herunterladen (.toml)
page-configuration-import = Einlesen
page-configuration-import-help = Zuerst ist zu sehen, was sich ändern würde. Danach gilt alles Angekreuzte auf einmal, oder nichts davon.
page-configuration-chosen = Datei (.toml)
page-configuration-look = Zeigen, was sich ändern würde
page-configuration-would = Was sich ändern würde
page-configuration-nothing-yet = Noch ist nichts geändert. Wo Punkte für ein Geheimnis stehen, bleibt das geltende.
page-configuration-keyless = Ein Schlüssel wird gemacht und einmal gezeigt, für:
page-configuration-passed-over = Nur zum Lesen und nicht eingelesen:
page-configuration-this = Dies einlesen
page-configuration-empty = In der Datei ist nichts, was eingelesen werden könnte.
page-configuration-take = Angekreuztes einlesen
page-configuration-imported = Eingelesen und in Kraft.
page-configuration-restored = Wiederhergestellt und in Kraft, als neuer Stand.
page-configuration-no-text = Diese Datei ist kein Text.
page-configuration-tick = Ankreuzen, dass es so sein soll.
page-differences = Unterschiede
page-no-difference = Kein Unterschied.
page-lines-left-out = { $count ->
    [one] 1 weitere Zeile
   *[other] { $count } weitere Zeilen
  }
page-compare = Vergleichen
page-compare-from = Von
page-compare-to = Bis
page-nothing = nichts
page-in-force = was gilt
page-restore = Zurück zum Stand
page-restore-column = Weg zurück
page-restore-look = Wiederherstellen …
page-restore-confirm = Dies soll gelten.
page-restore-now = Wiederherstellen
page-support = Support
page-support-help = Ein Archiv für alle, die helfen sollen: Zustand, neueste Ereignisse, Messzahlen, Fehler von Plugins, Konfiguration. Kein Geheimnis steht darin und nichts darüber, wer sich angemeldet hat.
page-support-file = Archiv herunterladen (.tar)

## Das Kennwort noch einmal, vor allem, was schaden könnte
page-step-up = Sind Sie es?
page-step-up-help = Dafür wird Ihr Kennwort noch einmal gebraucht: Das letzte Mal ist mehr als fünf Minuten her.
page-step-up-code = Code der App oder ein Wiederherstellungscode
page-step-up-go-on = Weiter
page-step-up-leave = Lieber nicht
page-step-up-file = Danach die Datei noch einmal wählen.
page-step-up-elsewhere = Ihr Kennwort wird anderswo geführt. Melden Sie sich neu an und wiederholen Sie, was Sie wollten.
page-step-up-before = Geben Sie Ihr Kennwort, bevor Sie eine Datei wählen: Das letzte Mal ist mehr als fünf Minuten her.
page-sign-in = Anmelden
page-user = Benutzer

## Das Gerät übernehmen, und Kennwörter
page-claim = Dieses Gerät übernehmen
page-claim-help = Noch hat es niemand übernommen. Messen und Schützen laufen schon; alles andere beginnt mit Ihnen.
page-claim-where = Der Übernahmecode ist das erste Kennwort von admin. Das Gerät zeigt ihn auf seiner seriellen Konsole, bis er gebraucht wurde; er ist kein Wort, das sich erraten ließe, und gilt einmal.
page-claim-code = Übernahmecode
page-claim-go-on = Weiter
page-password-change = Kennwort ändern
page-password-first = Wählen Sie Ihr eigenes Kennwort, bevor es weitergeht. Womit Sie sich angemeldet haben, gilt danach nicht mehr.
page-password-elsewhere = Ihr Konto wird anderswo geführt: Ändern Sie das Kennwort dort.
page-password-rule = Mindestens 15 Zeichen; alle Zeichen zählen. Ein Satz ist leicht zu merken.
page-password-old = Jetziges Kennwort oder Übernahmecode
page-password-new = Neues Kennwort
page-password-again = Neues Kennwort noch einmal
page-password-wrong = Das ist nicht richtig.
page-password-short = Es braucht mindestens 15 Zeichen; ein Satz ist leicht zu merken.
page-password-long = Es darf höchstens 256 Zeichen haben.
page-password-unconfirmed = Die beiden neuen Kennwörter sind nicht gleich.
page-password-same = Das neue Kennwort muss anders sein als das jetzige.
page-password-guessable = Es ist leicht zu erraten; ohne Namen, Wiederholungen und Tastenreihen ist es besser.
page-throttled = Zu viele Versuche. In { $seconds } s noch einmal.

## Einrichtung
page-setup = Einrichtung
page-setup-help = Was ein Gerät einmal braucht. Jeder Schritt lässt sich verlassen und wieder aufnehmen; was nicht eingestellt ist, bleibt hier und auf der Live-Seite gekennzeichnet. Messen und Schützen warten nicht darauf.
page-setup-go-on = Weiter
page-setup-whole = Alles ist eingestellt.
page-setup-not-set = Nicht eingestellt
page-setup-is-set = eingestellt
page-setup-is-left = für später
page-setup-is-open = nicht eingestellt
page-setup-place = Schritt { $number } von { $of }
page-setup-skip = Für später lassen
page-setup-save = Speichern und weiter
page-setup-next = Nächster Schritt
page-setup-list = Alle Schritte
page-setup-appliance = Standort und Zeit
page-setup-appliance-help = Vergleichen Sie den Fingerabdruck mit dem, den Ihr Browser zeigt: Dann ist niemand dazwischen. Die Zeitzone gilt für den Kalender und für Zeiten in Meldungen.
page-setup-site = Name des Standorts
page-setup-where = Ort: Gebäude, Raum
page-setup-name = Name
page-setup-serial = Seriennummer
page-setup-now = Seine Uhr zeigt
page-setup-language = Sprache der Meldungen
page-setup-battery = Batteriestränge
page-setup-battery-help = Art und Zahl der Blöcke stehen in den Einstellungen des Wächters, der nach ihnen auch ohne diese Konsole schützt. Vergleichen Sie sie mit dem, was am Bus hängt.
page-setup-configured = Eingestellt
page-setup-answered = Module
page-setup-blocks = { $count ->
    [one] 1 Block
   *[other] { $count } Blöcke
  }
page-setup-seen = { $seen } von { $of } antworten
page-setup-no-strings = Kein Strang ist eingestellt, oder der Wächter antwortet nicht.
page-setup-bus = Bus
page-setup-not-searched = noch nicht durchsucht
page-setup-found = { $count ->
    [one] 1 Teilnehmer gefunden
   *[other] { $count } Teilnehmer gefunden
  }
page-setup-discover = Bus durchsuchen
page-setup-battery-change = Stränge und Batterien einrichten
page-setup-battery-settle = Das stimmt
page-setup-limits = Grenzwerte und Alarme
page-setup-limits-help = Diese sind vorgeschlagen und gelten. Der Schutz hat eigene Grenzen, die bleiben, was auch immer hier eingestellt ist.
page-setup-limits-change = Ändern
page-setup-limits-settle = Diese verwenden
page-setup-receiver = Wem es meldet
page-setup-receiver-help = Ein Webserver, der Meldungen annimmt. Er bekommt gleich eine Probemeldung; Aufträge sagen, wovon er erfährt.
page-setup-receiver-save = Speichern und Probemeldung senden
page-setup-notifiers = Syslog und andere Wege: über ein Plugin
page-setup-ups = USV
page-setup-ups-help = Eine USV wird von einem Plugin gelesen, das nur bekommt, was Sie ihm gewähren.
page-setup-no-ups = Keine USV wird gelesen.
page-setup-install = Ein Plugin installieren oder ihm seine Leitung gewähren
page-setup-ups-settle = Es gibt keine USV
page-setup-users = Benutzer
page-setup-users-help = Alle mit einem eigenen Konto und mit dem, was sie brauchen: Dann sagt das Protokoll, wer es war.
page-setup-user-name = Name: a-z, 0-9, „.“, „_“, „-“
page-setup-role = Rolle
page-setup-add = Hinzufügen
page-setup-first = Erstes Kennwort von
page-setup-first-help = Teilen Sie es mit. Es wird einmal gezeigt, gilt 15 Minuten und muss bei der ersten Anmeldung geändert werden.
page-setup-users-settle = Niemand sonst

## Inbetriebnahme
page-commissioning = Inbetriebnahme
page-document-guard = Stränge, Batterien und Schutz
page-commissioning-taken = Der Wächter schützt jetzt nach diesen Einstellungen.
page-commissioning-begun = Es hat begonnen; der Stand steht beim Bus.
page-commissioning-wrong = Nichts wurde geändert: siehe die markierten Felder.
page-commissioning-changed = Inzwischen gelten andere Einstellungen. Sehen Sie sie an und beginnen Sie neu.
page-commissioning-fallback = Nicht die Datei des Wächters gilt, sondern seine letzten guten Einstellungen:
page-commissioning-same = Nur Bemerkungen wären anders.
page-commissioning-not-now = Nicht jetzt:
page-commissioning-what-happens = Der Wächter prüft sie noch einmal und macht binnen zweier Zyklen mit ihnen weiter: so lange sind die Bypässe aus, von Hand geschaltete Ausgänge gehen aus, und was er über gleich bleibende Stränge gelernt hat, bleibt.
page-commissioning-despite = Der Alarm kommt von den Einstellungen, die geändert werden sollen
page-commissioning-take = Danach schützen
page-commissioning-leave = Lassen, wie es ist
page-commissioning-form = Stränge und Batterien
page-commissioning-help = Was an den Bussen hängt und von welchem Typ es ist. Danach richten sich Schutz und Ausgleich. Ein Strang nimmt seinen Typ aus dieser Liste oder aus dem Katalog üblicher Größen; Erhaltungsspannung und Widerstand stehen im Datenblatt.
page-commissioning-number = Nummer der Einstellungen
page-commissioning-answers = Antwortet
page-commissioning-report = Inbetriebnahmebericht
page-configuration-revisions = Frühere Einstellungen
page-commissioning-types = Blocktypen
page-commissioning-chemistry = Chemie
page-commissioning-cells = Zellen je Block
page-commissioning-capacity = Kapazität, Ah
page-commissioning-float = Erhaltungsspannung, V je Zelle
page-commissioning-resistance = Widerstand im Neuzustand, mΩ
page-commissioning-new = neu
page-commissioning-strings = Stränge
page-commissioning-first = Erste Adresse
page-commissioning-module = Modul
page-commissioning-type = Blocktyp
page-commissioning-catalogue = Katalog
page-commissioning-equalize = Ausgleichen
page-commissioning-parts = Ungleiche Blöcke: siehe den Text
page-commissioning-buses = Busse
page-commissioning-buses-help = Adressen werden vergeben, indem ein Modul nach dem anderen an seinem Knopf gedrückt wird; nur solche aus den Einstellungen.
page-commissioning-break = Bruch des Rings suchen
page-commissioning-stop = Arbeit beenden
page-commissioning-count = Anzahl
page-commissioning-address = Adressen vergeben
page-commissioning-swap-address = Adresse des fehlenden Moduls
page-commissioning-swap = Modul ersetzen
page-commissioning-text = Alle Einstellungen als Text
page-commissioning-text-help = Alles, wonach der Wächter schützt (TOML): Busse mit ihren Verdrahtungsplänen, Geräte, Schalter, Grenzen, Tests. Das Formular behält, wonach es nicht fragt, aber keine Bemerkungen.
page-commissioning-since = In Kraft seit
page-commissioning-whose = Geändert von
page-commissioning-at = Angesehen
page-commissioning-by = Von
page-commissioning-whole = Alles ist, wie die Einstellungen es sagen.
page-commissioning-open = Offen
page-commissioning-port = Anschluss
page-commissioning-found = Bei der Suche gefunden
page-commissioning-busy = Leitung belegt
page-commissioning-wiring = Verdrahtungsplan: Bedarf / Netzteil
page-commissioning-loops = Schleifen
page-commissioning-devices = Fühler, Kontakte, Relais
page-commissioning-kind = Art
page-commissioning-place = Bus / Adresse
page-commissioning-addresses = Adressen
page-commissioning-block = Block
page-commissioning-bus-address = Adresse
page-commissioning-sign = Datum, Name, Unterschrift: ______________________________
page-battery-number = Eine Zahl, wie sie im Datenblatt steht.
page-thing-bus = Bus
page-thing-battery = Blocktyp
page-thing-device = Gerät
page-thing-string = Strang
page-thing-test = Batterietest
page-thing-general = für alle
page-change-added = { $what } ist neu.
page-change-removed = { $what } entfällt.
page-change-set = { $what }: { $field } wird { $to }, war { $from }.
page-change-none = nicht gesetzt
page-change-forgotten = { $what }: was darüber gelernt wurde (Kapazität, Zustand, Widerstände im Neuzustand), beginnt von vorn.
page-open-guard = Der Wächter antwortet nicht, oder seine letzten guten Einstellungen gelten statt seiner Datei.
page-open-port = Der Anschluss von Bus { $bus } ist weg.
page-open-not-searched = Niemand hat Bus { $bus } abgesucht, seit der Wächter läuft.
page-open-no-plan = Kein Verdrahtungsplan von Bus { $bus }: niemand hat gesagt, wie er verdrahtet und gespeist ist.
page-open-silent = Strang { $string }, Block { $block } (Adresse { $address }): kein Messwert.
page-open-other-type = Bus { $bus }, Adresse { $address }: gefunden ist { $found }, die Einstellungen sagen anderes.
page-open-stranger = Bus { $bus }, Adresse { $address }: spricht und steht in keinen Einstellungen.
page-open-device = Gerät { $name } antwortet nicht oder ist etwas anderes.

## Anmelden und Konten
page-sign-in-help = Überwachung von Batterien und USV. Melden Sie sich an, um weiterzugehen.
page-sign-in-password = Passwort
page-answer-help = Noch eine Frage, bevor es weitergeht.
page-answer = Antwort
page-answer-again = Von vorn beginnen
page-accounts-users = Benutzer
page-accounts-roles = Rollen
page-accounts-groups = Gruppen
page-accounts-may = Darf
page-accounts-state = Zustand
page-accounts-ends = Endet
page-accounts-disabled = gesperrt
page-accounts-first = erstes Passwort
page-accounts-active = aktiv
page-accounts-factor = zweiter Faktor
page-accounts-factor-missing = noch kein zweiter Faktor
page-accounts-required = Zweiter Faktor verlangt
page-accounts-required-roles = Rollen, die ihn verlangen
page-accounts-required-none = Keine Rolle verlangt ihn.
page-accounts-required-help = Wer eine solche Rolle und noch keinen zweiten Faktor hat, schaltet nach der nächsten Anmeldung einen ein, vor allem anderen. Anderswo geführte Konten werden dort gefragt, und Token von Programmen gelten weiter. Schalten Sie zuerst Ihren eigenen ein.
page-accounts-change = Ändern:
page-accounts-no-entry = darf sich nicht anmelden
page-accounts-reset = Neues erstes Passwort
page-accounts-remove-factor = Zweiten Faktor entfernen
page-accounts-add-user = Benutzer hinzufügen
page-accounts-name-help = a-z, 0-9, „.“, „_“, „-“. Das erste Passwort wird einmal gezeigt und gilt 15 Minuten.
page-accounts-role = Rolle
page-accounts-add-role = Rolle hinzufügen
page-accounts-none = Keine.
page-accounts-group = Gruppe
page-accounts-members = Mitglieder
page-accounts-add-group = Gruppe hinzufügen
page-accounts-roles-of = Rollen ihrer Mitglieder
page-accounts-tokens = Zugangsschlüssel von Programmen
page-accounts-token = Schlüssel
page-accounts-for = Für
page-accounts-owner = Im Namen von
page-accounts-withdraw = Zurückziehen
page-accounts-make-token = Schlüssel machen
page-accounts-what-for = Wofür er ist
page-accounts-whose = In wessen Namen er handelt
page-accounts-days = Tage, bis er endet
page-accounts-make = Machen
page-accounts-sessions = Wer angemeldet ist
page-accounts-from = Von
page-accounts-since = Seit
page-accounts-left = Endet in, min
page-accounts-this = diese
page-accounts-others = Meine anderen Sitzungen beenden
page-accounts-elsewhere = Wer sich noch anmelden darf
page-accounts-by-file = Die Konfigurationsdatei entscheidet:
page-accounts-nobody-else = Niemand: kein Authentifizierer ist installiert. Allein die Konten, die hier geführt werden, entscheiden.
page-accounts-authenticators = Authentifizierer, in der Reihenfolge, in der sie gefragt werden
page-accounts-installed = Installiert:
page-accounts-empty-alone = Leer: allein die Konten, die hier geführt werden, entscheiden.
page-accounts-words = Rollen nach den Worten der Authentifizierer, je Zeile ein „Wort = Rolle“
page-accounts-nobody = Niemand.
page-area-battery = Batterie
page-area-devices = Geräte
page-area-alarms = Alarme
page-area-events = Ereignisse
page-area-history = Verlauf
page-area-automation = Abläufe
page-area-plugins = Plugins
page-area-accounts = Konten
page-area-audit = Protokoll
page-area-system = System
page-level-none = nichts
page-level-view = ansehen
page-level-operate = bedienen
page-level-configure = einrichten
page-accounts-everything = alles
page-accounts-never = nie
page-accounts-first-of = Erstes Passwort von { $user }
page-accounts-first-help = Teilen Sie es mit. Es gilt bis { $until } UTC und muss bei der ersten Anmeldung geändert werden.
page-accounts-token-help = Jetzt abschreiben: er wird nicht aufbewahrt und kann nicht noch einmal gezeigt werden.
page-sign-in-wrong = Benutzer oder Passwort ist falsch.
page-answer-wrong = Der Code ist falsch oder wurde schon benutzt. Beginnen Sie von vorn.

## Was abgelehnt wird
page-refused-missing = Nicht gefunden
page-refused-forbidden = Nicht erlaubt
page-refused-undone = Nicht getan
page-refused-back = Zurück zur Live-Seite
page-refused-not-found = Hier ist nichts
page-refused-not-allowed = Dieses Konto darf das nicht
page-refused-bad-request = Die Anfrage ergibt keinen Sinn
page-refused-method = Dieser Pfad kennt diese Methode nicht
page-refused-too-long = Die Datei ist zu lang
page-refused-store = Der Speicher lässt sich nicht benutzen
page-refused-no-guard = Der Wächter hat noch nicht geantwortet
page-refused-refused = Der Wächter hat die Anweisung abgelehnt

## Plugins
page-plugin = Plugin
page-plugins-installed = Installierte Plugins
page-plugins-none = Noch keine.
page-plugins-install = Installieren Sie eines aus den Paketen unten.
page-plugins-bundles = Pakete, die installiert werden können
page-plugins-file = Ein signiertes Paket eines Herstellers (.evkp)
page-plugin-for = Art
page-plugin-version = Version
page-plugin-signer = Signiert von
page-plugin-processor = Prozessor
page-plugin-memory = Arbeitsspeicher
page-plugin-failures = Ausfälle
page-plugin-last-problem = Letztes Problem
page-plugin-vendor = Hersteller
page-plugin-from = Aus
page-plugin-does = Was es tut
page-plugin-shipped = Firmware
page-plugin-uploaded = hochgeladen
page-plugin-is-starting = startet
page-plugin-is-running = läuft
page-plugin-is-backoff = wartet auf den nächsten Versuch
page-plugin-is-quarantined = in Quarantäne
page-plugin-is-refused = abgelehnt
page-plugin-is-disabled = ausgeschaltet
page-plugin-is-stopped = beendet
page-world-driver = Treiber
page-world-gateway = Gateway
page-world-notifier = Melder
page-world-authenticator = Authentifizierer
page-world-licence-gate = Lizenzprüfung
page-plugin-tried = Versuchte, was es nicht darf:
page-plugin-in-call = Seit { $count } s rechnet oder wartet es in einem Aufruf.
page-plugin-vendor-says = Hersteller nach eigener Angabe
page-plugin-publishes = Veröffentlicht unter
page-plugin-costs = Was es kostet
page-plugin-calls = Aufrufe
page-plugin-poll = Übliche Abfrage
page-plugin-slowest = Längster Aufruf
page-plugin-processor-time = Prozessorzeit
page-plugin-serial = Serielle Leitungen
page-plugin-usb = USB-Geräte
page-plugin-network = Netz
page-plugin-appliance = Gerät
page-plugin-traffic = { $sent } Bytes gesendet, { $received } empfangen
page-plugin-refused = Verweigert
page-plugin-times = { $count }-mal
page-plugin-told = Was es gemeldet hat
page-plugin-untold = Das nächste Ereignis ist noch nicht gemeldet:
page-plugin-waiting = Wartend, höchstens
page-plugin-last-told = Zuletzt gemeldet
page-plugin-nothing-told = nichts seit dem Start
page-plugin-enable = Einschalten
page-plugin-restart = Neu starten
page-plugin-disable = Ausschalten
page-plugin-roll-back = Zurück zur vorigen Version
page-plugin-change = Rechte und Einstellungen ändern
page-plugin-may = Was es darf
page-plugin-not-loaded = Nicht bekannt, solange es nicht geladen ist.
page-plugin-harm = Was davon schaden kann
page-plugin-confirmed-file = bestätigt von dem, der die Konfigurationsdatei schrieb
page-plugin-confirmed-person = bestätigt von einem Administrator
page-plugin-failed = Woran es zuletzt scheiterte
page-plugin-recording = Aufzeichnung
page-plugin-in = in
page-plugin-called-by = aufgerufen von
page-plugin-repeats = und noch { $count }-mal in derselben Stunde
page-plugin-recording-help = Sie enthält, was das Plugin empfing und behielt; seine Geheimnisse nicht.
page-plugin-for-vendor = für seinen Hersteller
page-plugin-said = Was es zuletzt sagte
page-plugin-silent = Noch nichts.
page-plugin-wrong = Nichts wurde geändert: siehe die markierten Felder
page-bundle-memory = Arbeitsspeicher, höchstens
page-bundle-call = Prozessorzeit je Aufruf
page-bundle-asks = Was es verlangt
page-bundle-change = Ändern
page-bundle-install = Installieren
page-bundle-name = Name und Ort
page-bundle-id = Name auf diesem Gerät
page-bundle-id-help = Nur nötig, wenn es mehrere davon gibt.
page-bundle-points = Wohin seine Werte kommen
page-bundle-grants = Was es benutzen darf
page-bundle-settings = Einstellungen
page-bundle-lines = Je Zeile ein „Name = Wert“; leer: die Vorgaben
page-bundle-set = gesetzt; leer behält es
page-bundle-not-set = nicht gesetzt
page-bundle-forget = Zurücknehmen
page-bundle-word = Ihr Wort
page-bundle-consent = Ich habe oben gelesen, was es verlangt, und bin einverstanden
page-bundle-harm = Diese Rechte können schaden:
page-bundle-confirm = Wiederholen Sie zur Bestätigung hier jedes dieser Worte, eines je Zeile
page-bundle-save = Speichern und neu starten
page-bundle-do-install = Installieren
page-setting-range = { $low } bis { $high }
page-setting-steps = in Schritten von { $value }
page-setting-unchosen = { $value }, wenn nichts gewählt ist
page-setting-empty = leer: { $value }
page-may-serial-serial = mit dem Gerät an der seriellen Leitung „{ $what }“ sprechen
page-may-hid-hid = das USB-Gerät „{ $what }“ lesen und ihm, wenn Sie es erlauben, befehlen
page-may-net-client-net-client = sich mit der Gegenstelle „{ $what }“ verbinden
page-may-net-server-net-server = { $what ->
    [none] auf seinen Verbindungen ungefragt senden
   *[other] unter der Netzadresse „{ $what }“ antworten
  }
page-may-snmp-client-snmp-client = den SNMP-Agenten „{ $what }“ fragen
page-may-points-points = { $what ->
    [none] Messwerte veröffentlichen
   *[other] Messwerte veröffentlichen („{ $what }“)
  }
page-may-points-reader = Messwerte lesen („{ $what }“)
page-may-commands-commands = Befehle geben („{ $what }“)
page-may-commands-offers = { $what ->
    [none] Befehle an seinem Gerät ausführen, mit denen eine USV die Last abschalten kann
   *[other] Befehle an seinem Gerät ausführen, mit denen eine USV die Last abschalten kann („{ $what }“)
  }
page-may-contacts-contacts = den Kontakt „{ $what }“ lesen und, wenn Sie es erlauben, schalten
page-may-events-events = { $what ->
    [none] dem Protokoll Ereignisse zur Information hinzufügen
   *[other] das Ereignisprotokoll lesen oder ihm Warnungen und Alarme hinzufügen, wie Sie es erlauben („{ $what }“)
  }
page-may-events-types = { $what ->
    [none] Ereignisse verstehen
   *[other] erfahren, was geschieht („{ $what }“)
  }
page-may-crypto-crypto = { $what ->
    [none] Prüfsummen rechnen und Signaturen prüfen
   *[other] mit dem Geheimnis „{ $what }“ rechnen, ohne es zu sehen
  }
page-may-log-log = ins Protokoll schreiben
page-may-clock-clock = die Zeit wissen
page-may-config-config = seine Einstellungen lesen
page-may-random-random = Zufallszahlen benutzen
page-may-kv-kv = ein wenig über Neustarts hinweg behalten

## Die Live-Seite
page-live-store-failed = Der Speicher lässt sich nicht beschreiben; Ereignisse bleiben im Arbeitsspeicher. { $error }
page-live-stale = Keine aktuellen Daten vom Gerät; die Werte sind alt.
page-live-notices = Hinweise
page-live-mute = Summer stumm schalten
page-live-no-strings = Noch kein Batteriestrang: Der Wächter hat nicht geantwortet.
page-live-charge = Ladezustand
page-live-sum = Summe
page-live-worst = Schlechtester
page-live-spread = Spanne
page-live-mean-bypass = Mittlerer Bypass
page-live-pause = 1 h anhalten
page-live-board = Abweichung vom Sollwert in Millivolt, Block für Block
page-live-legend-above = Orange: über dem Sollwert,
page-live-legend-below = blau: darunter; ein Balken endet bei ±100 mV, ein Pfeil heißt: weiter. Türkise Linie: Bypass.
page-live-legend-out = außerhalb des Bands (±10 mV),
page-live-legend-old = kein aktueller Wert und seit wann,
page-live-legend-wrong = Warnung oder (gefüllt) Alarm.
page-live-ups = USV
page-live-point = Größe
page-live-quality = Alter oder Güte
page-live-guard = Wächter
page-live-counter = Zähler
page-live-events = Neueste Ereignisse
page-live-time = Zeit (UTC)
page-live-licence-file = Eine Lizenz (.evkl) installieren:
page-live-licence-done = Installiert.
page-live-silent = Das Gerät antwortet nicht.
page-live-polls = Abfragen
page-live-last-error = Letzter Fehler
page-live-alarms = { $count ->
    [one] 1 Alarm
   *[other] { $count } Alarme
  }
page-live-warnings = { $count ->
    [one] 1 Warnung
   *[other] { $count } Warnungen
  }
page-live-no-alarm = kein Alarm
page-live-acknowledged = { $count } quittiert
page-live-latched = { $count } zurückzusetzen
page-live-shelved = { $count } zurückgestellt
page-live-over = { $count } vorbei
page-live-blind = niemand weiß, was sonst: der Wächter antwortet nicht
page-live-more = und { $count } weitere
page-live-sum-string = Strang { $number }: { $state }
page-live-sum-ups = USV: { $state }
page-live-sum-guard = Wächter: { $state }
page-live-sum-alarms = siehe die Alarme
page-live-sum-plugin = ein Plugin braucht Aufmerksamkeit
page-live-sum-notices = siehe die Hinweise
page-live-all-in-band = alle Stränge im Band
page-live-all-well = Alle Stränge im Band, { $ups }.
page-live-no-ups = keine USV eingerichtet
page-live-ups-on-mains = USV am Netz
page-live-no-voltage = keine Spannung
page-live-bypass = Bypass
page-live-warning = Warnung
page-live-alarm = Alarm
page-live-over-safety = über der Lizenz: nur zur Sicherheit überwacht
page-live-worst-block = Block { $number }: { $mv } mV
page-live-equalized = { $count } von { $of } Blöcken
page-live-equalizing-off = aus: { $why }
page-live-no-data = keine aktuellen Daten
page-live-missing = { $count ->
    [one] 1 Block ohne aktuelle Daten
   *[other] { $count } Blöcke ohne aktuelle Daten
  }
page-live-no-target = noch kein Sollwert
page-live-in-band = im Band
page-live-out-of-band = außerhalb des Bands
page-live-closing = außerhalb des Bands, wird ausgeglichen
page-live-runtime = { $minutes } min, sicher { $low }
page-live-no-record = noch nichts aufgezeichnet
page-live-spark = Spanne { $minutes } min, oben { $mv } mV
page-live-serial = Seriennummer
page-live-why = warum
page-live-judge = beurteilt von
page-live-nobody = niemandem
page-live-grace = ohne Urteil
page-live-grace-left = gilt noch { $hours } h, dann LC; sehen Sie nach der Lizenzprüfung
page-live-licence-refused = abgelehnt: { $why }
page-live-over-licence = über der Lizenz
page-live-over-what = Blöcke: { $blocks }, USV: { $upses }; nur zur Sicherheit überwacht
page-live-limits = { $blocks ->
    [none] beliebig viele Blöcke
   *[other] { $blocks } Blöcke
  }, { $va ->
    [none] USV jeder Größe
   *[other] USV bis { $va } VA
  }
page-live-status-words = Statusworte
page-live-beeper = Summer
page-live-estimated = geschätzt
page-live-stale-value = veraltet
page-live-bad = unbrauchbar
page-live-ups-silent = antwortet nicht
page-live-ups-no-status = meldet keinen Status
page-ups-OL = am Netz
page-ups-OB = auf Batterie
page-ups-LB = Batterie fast leer
page-ups-RB = Batterie ist zu tauschen
page-ups-CHRG = lädt
page-ups-DISCHRG = entlädt
page-ups-BYPASS = im Bypass, Last ungeschützt
page-ups-CAL = Batterietest
page-ups-OFF = Ausgang aus
page-ups-OVER = überlastet
page-ups-TRIM = senkt zu hohe Netzspannung
page-ups-BOOST = hebt zu niedrige Netzspannung
page-ups-FSD = erzwungenes Abschalten
page-ups-ALARM = Alarm
page-guard-awaited = hat noch nicht geantwortet
page-guard-silent = antwortet nicht, zuletzt gesehen vor { $age }
page-guard-running = läuft
page-guard-cycles = Zyklen
page-guard-cycles-of = { $cycles } zu { $ms } ms
page-guard-missed = Fristen verpasst
page-guard-scan = Abfrage aller Module
page-guard-work = Arbeit je Zyklus
page-guard-jitter = Verspätung, Median · 99,9 % · höchste
page-guard-bad-frames = fehlerhafte Telegramme
page-guard-unexpected = unerwartete Telegramme
page-guard-replies = fehlende Antworten
page-guard-reopened = Busanschluss neu geöffnet
page-guard-battery-bus-port-is-closed-or-gone = Anschluss des Batteriebusses ist geschlossen oder weg
page-guard-settings-file-refused-last-good-settings-in-force = Einstellungsdatei abgelehnt, die letzten guten Einstellungen gelten
page-guard-no-real-time-priority = ohne Echtzeitvorrang
page-guard-memory-not-locked = Arbeitsspeicher nicht festgehalten
page-guard-guard-not-fully-confined = Wächter nicht ganz eingeschlossen
page-guard-watchdog-not-armed-or-not-taking-its-feed = Watchdog nicht scharf oder nimmt kein Lebenszeichen an
page-guard-a-sensor-or-relay-device-on-a-bus-does-not-answer = ein Fühler oder Relais an einem Bus antwortet nicht
page-inhibit-waiting-for-every-block-to-report = wartet, bis jeder Block gemeldet hat
page-inhibit-too-few-blocks-have-usable-readings = zu wenige Blöcke haben brauchbare Messwerte
page-inhibit-discharge = Entladung
page-inhibit-recovery-after-discharge = Wiederladung nach der Entladung
page-inhibit-boost-charge = Starkladung
page-inhibit-paused-by-a-user = von einem Benutzer angehalten
page-inhibit-switched-off-in-the-settings = in den Einstellungen ausgeschaltet
page-inhibit-paused-by-schedule = nach Plan angehalten
page-inhibit-battery-test = Batterietest
page-inhibit-breaker-open = Schalter offen
page-inhibit-thermal-alarm = Temperaturalarm
page-inhibit-commissioning = Inbetriebnahme
page-inhibit-charger-off = Ladegerät aus
page-point-battery-charge = Ladung der USV-Batterie
page-point-battery-charge-restart = Ladung, ab der die USV wieder einschaltet
page-point-battery-current = Batteriestrom; das Vorzeichen ist das der USV
page-point-battery-date = wann die Batterie eingebaut wurde
page-point-battery-packs = Faktor von der gemeldeten Spannung zur Batteriespannung
page-point-battery-runtime = Überbrückungszeit bei der jetzigen Last
page-point-battery-runtime-low = Überbrückungszeit, ab der die Batterie als fast leer gilt
page-point-battery-temperature = Temperatur an der Batterie
page-point-battery-voltage = Batteriespannung, wie die USV sie meldet
page-point-battery-voltage-high = Spannung, die als voll geladen gilt
page-point-battery-voltage-low = Spannung, die als leer gilt
page-point-battery-voltage-nominal = Nennspannung der Batterie
page-point-device-mfr = Hersteller des Geräts
page-point-device-model = Modell des Geräts
page-point-device-serial = Seriennummer des Geräts
page-point-input-bypass-current = Strom des Bypasses
page-point-input-bypass-frequency = Frequenz des Bypasses
page-point-input-bypass-phase-n-voltage = Bypassspannung der Phase { $phase }
page-point-input-bypass-phase-current = Bypassstrom der Phase { $phase }
page-point-input-bypass-phase-realpower = Bypassleistung der Phase { $phase }
page-point-input-bypass-phases = Phasen des Bypasses
page-point-input-bypass-realpower = Leistung des Bypasses
page-point-input-bypass-voltage = Spannung des Bypasses
page-point-input-current = Eingangsstrom
page-point-input-current-nominal = Nenneingangsstrom
page-point-input-frequency = Netzfrequenz am Eingang
page-point-input-frequency-nominal = Nennfrequenz des Netzes
page-point-input-phase-n-voltage = Eingangsspannung der Phase { $phase }
page-point-input-phase-current = Eingangsstrom der Phase { $phase }
page-point-input-phase-realpower = Eingangsleistung der Phase { $phase }
page-point-input-phases = Phasen des Eingangs
page-point-input-realpower = Eingangsleistung
page-point-input-sensitivity = wie bald die USV das Netz verlässt
page-point-input-transfer-high = Eingangsspannung, über der die USV das Netz verlässt
page-point-input-transfer-low = Eingangsspannung, unter der die USV das Netz verlässt
page-point-input-transfer-reason = warum die USV zuletzt das Netz verließ
page-point-input-voltage = Eingangsspannung
page-point-input-voltage-fault = Eingangsspannung, die zur letzten Umschaltung führte
page-point-input-voltage-maximum = höchste Eingangsspannung der letzten Zeit
page-point-input-voltage-minimum = niedrigste Eingangsspannung der letzten Zeit
page-point-input-voltage-nominal = Nenneingangsspannung
page-point-output-current = Ausgangsstrom
page-point-output-frequency = Ausgangsfrequenz
page-point-output-frequency-nominal = Nennausgangsfrequenz
page-point-output-phase-n-voltage = Ausgangsspannung der Phase { $phase }
page-point-output-phase-current = Ausgangsstrom der Phase { $phase }
page-point-output-phase-power-percent = Last der Phase { $phase } in Prozent ihrer Nennleistung
page-point-output-phase-realpower = Ausgangsleistung der Phase { $phase }
page-point-output-phases = Phasen des Ausgangs
page-point-output-realpower = Ausgangsleistung
page-point-output-voltage = Ausgangsspannung
page-point-output-voltage-nominal = Nennausgangsspannung
page-point-ups-alarm = Alarme, die die USV meldet, als Text
page-point-ups-delay-shutdown = Verzögerung des Abschaltens
page-point-ups-delay-start = Verzögerung des Einschaltens
page-point-ups-firmware = Firmware-Version der USV
page-point-ups-firmware-aux = Firmware-Version der Karte
page-point-ups-id = Name, der der USV gegeben wurde
page-point-ups-load = Last in Prozent der Nennleistung
page-point-ups-mfr = Hersteller der USV
page-point-ups-mfr-date = wann die USV gebaut wurde
page-point-ups-model = Modell der USV
page-point-ups-power = Scheinleistung der Last
page-point-ups-power-nominal = Nennscheinleistung
page-point-ups-realpower = Leistung der Last
page-point-ups-realpower-nominal = Nennleistung
page-point-ups-serial = Seriennummer der USV
page-point-ups-start-auto = yes, wenn die USV mit dem Netz von selbst startet
page-point-ups-temperature = Temperatur in der USV
page-point-ups-test-date = wann der letzte Test war
page-point-ups-test-result = was der letzte Test ergab
page-point-ups-timer-reboot = Zeit bis zum Neustart; -1: keiner
page-point-ups-timer-shutdown = Zeit, bis der Ausgang ausgeht; -1: keine
page-point-ups-timer-start = Zeit, bis der Ausgang angeht; -1: keine
page-point-ups-type = Bauart der USV

## Was einem Strang oder Block fehlt und was getan wird
page-breaker-closed = geschlossen
page-breaker-open-not-opened-from-here = offen, nicht von hier geöffnet
page-breaker-tripped-before-the-restart = vor dem Neustart ausgelöst
page-breaker-opening = öffnet
page-breaker-open = offen
page-breaker-told-to-open-not-confirmed = soll öffnen, nicht bestätigt
page-breaker-did-not-open = hat nicht geöffnet
page-fault-module-has-never-answered = Modul hat nie geantwortet
page-fault-module-stopped-answering = Modul antwortet nicht mehr
page-fault-voltage-outside-the-module-s-range = Spannung außerhalb des Bereichs des Moduls
page-fault-temperature-sensor-broken = Temperaturfühler defekt
page-fault-module-of-another-type-than-configured = Modul von anderem Typ als eingestellt
page-fault-module-has-not-said-who-it-is = Modul hat noch nicht gesagt, was es ist
page-activity-off-no-good-reading = aus: kein guter Messwert
page-activity-off-with-its-string = aus mit seinem Strang
page-activity-off-too-hot = aus: zu heiß
page-activity-off-voltage-too-low = aus: Spannung zu niedrig
page-activity-off-resistance-is-being-measured = aus: der Widerstand wird gemessen
page-activity-equalizing = wird ausgeglichen
page-activity-bypass-fully-on-and-not-enough = Bypass ganz an, und es reicht nicht
page-activity-module-reduces-its-bypass = Modul verringert seinen Bypass
page-charger-not-known-yet = noch nicht bekannt
page-charger-right = richtig eingestellt
page-charger-this-chemistry-has-no-float-voltage = diese Chemie hat keine Erhaltungsspannung

## Arbeit an einem Bus, Chemien
page-work-searching = wird abgesucht, { $count } Suchen bisher
page-work-given-up = Suche aufgegeben: zu viele Teilnehmer, oder eine Leitung, die alles verstümmelt
page-work-complete = Suche abgeschlossen
page-work-unclear = Suche abgeschlossen, { $count } Seriennummern sind nicht zu unterscheiden
page-work-addressing = als Nächstes Adresse { $next }, { $done } von { $of } vergeben: { $note }
page-work-addressed = { $count } Adressen vergeben
page-work-break = Bruch des Rings wird gesucht
page-work-press-the-button-of-the-next-module = den Knopf des nächsten Moduls drücken
page-work-the-module-took-its-address-press-the-button-of-the-next-one = das Modul hat seine Adresse; den Knopf des nächsten drücken
page-work-another-module-answers-to-this-address-already = ein anderes Modul antwortet schon unter dieser Adresse
page-work-this-type-of-module-does-not-belong-here = dieser Modultyp gehört nicht hierher
page-work-this-module-has-already-got-its-address = dieses Modul hat seine Adresse schon
page-work-two-buttons-were-pressed-at-once-press-one-again = zwei Knöpfe wurden zugleich gedrückt; einen noch einmal drücken
page-work-the-module-did-not-confirm-its-address-press-its-button-again = das Modul hat seine Adresse nicht bestätigt; seinen Knopf noch einmal drücken
page-chemistry-vented-lead-acid = Blei, geschlossen
page-chemistry-valve-regulated-lead-acid-AGM = Blei, verschlossen (AGM)
page-chemistry-valve-regulated-lead-acid-gel = Blei, verschlossen (Gel)
page-chemistry-nickel-cadmium = Nickel-Cadmium
page-chemistry-nickel-metal-hydride = Nickel-Metallhydrid
page-chemistry-lithium-iron-phosphate = Lithium-Eisenphosphat
page-chemistry-lithium-ion-layered-oxide = Lithium-Ionen (Schichtoxid)
