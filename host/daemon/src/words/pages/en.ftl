### The console's pages. Each name begins with `page-`.

## Everywhere
page-menu = Menu
page-where-you-are = Where you are
page-accounts = Accounts
page-plugins = Plugins
page-events = Events
page-thresholds = Thresholds
page-automation = Rules and jobs
page-schedule = Schedule
page-audit = Audit log
page-discharges = Discharges
page-show = Show
page-save = Save
page-saved = Saved and in force.
page-preview = Preview
page-not-saved = Nothing of this is saved yet.
page-yes = yes
page-no = no
page-off = off
page-ok = as it should be
page-done = done
page-all = all
page-when = When (UTC)
page-older = Older
page-newest = Newest
page-number = No.
page-no-time = This is no time; write it like 2026-11-21T07:52.
page-number-wanted = A number from { $low } to { $high }.

## Thresholds
page-thresholds-help = What is left empty is inherited: from the system to the battery type, from there to the string, and to the block. Protection has limits of its own, which stay whatever is set here.
page-scope = For
page-also-set = Set elsewhere:
page-whole-system = Whole system
page-battery-type = Battery type { $name }
page-built-in = built in
page-set-here = set here
page-limits = Limits
page-no-quantities = Nothing here can have a threshold.
page-quantity = Quantity
page-warning-at = Warning
page-alarm-at = Alarm
page-hysteresis = Hysteresis
page-delay = Delay, s
page-off-delay = Off delay, s
page-latch = Until reset
page-only-while = Only while:
page-inherit = Inherit all
page-thresholds-changed = Somebody else changed the thresholds meanwhile. Look at them and save again.
page-preview-sentence = With these limits { $alarm ->
    [0] no place alarms
    [one] one place alarms
   *[other] { VALUE($alarm) } places alarm
  } and { $warning ->
    [0] none warns now
    [one] one warns now
   *[other] { VALUE($warning) } warn now
  }; in the last 30 days { $past_alarm ->
    [0] none would have alarmed
    [one] one would have alarmed
   *[other] { VALUE($past_alarm) } would have alarmed
  } and { $past_warning ->
    [0] none warned
    [one] one warned
   *[other] { VALUE($past_warning) } warned
  }.
page-preview-remark = { VALUE($values) } values of the past were looked at. They lie minutes apart: the past is counted as far as they show. What was beyond a limit for less than its delay may be counted, and what was beyond only between two values is not.
page-preview-without = The history holds nothing of: { $what }. Of that the past is not counted.

## Events and audit log
page-at-least = At least
page-category = About
page-category-battery = Battery
page-category-ups = UPS
page-category-plugin = Plugin
page-category-system = Appliance
page-category-access = Access
page-about = Object or words
page-from = From (UTC)
page-to = Until (UTC)
page-event = Event
page-no-events = No such events.
page-audit-state = Is the log whole?
page-audit-help = Every entry is chained to the one before, and the appliance seals the chain with its key. The check goes through all of it.
page-audit-check = Check it now
page-audit-export = Export
page-audit-whole = Whole: entries { VALUE($first) } to { VALUE($last) }, { $seals ->
    [one] one seal
   *[other] { VALUE($seals) } seals
  }.
page-audit-gaps = Unchanged, with { $missing ->
    [one] a gap
   *[other] { VALUE($missing) } gaps
  } that the appliance itself reports after damage: entries { VALUE($first) } to { VALUE($last) }.
page-audit-broken = Not whole: { $fault }
page-audit-unreadable = There are lines that cannot be read. Check the log.
page-audit-filter = Who, what or from where
page-audit-seal = Sealed by the appliance
page-no-entries = No such entries.
page-who = Who
page-from-where = From where
page-did = What
page-result = Result

## Strings and blocks
page-block = Block
page-blocks = Blocks
page-string = String
page-old-values = The guard does not answer: these values are old.
page-phase = Phase
page-phase-float = float
page-phase-boost = boost charge
page-phase-discharge = discharge
page-phase-recharge = recharge
page-phase-unknown = not known
page-current = Current
page-string-voltage = String voltage
page-voltage = Voltage
page-deviation = Deviation from target
page-target = Target
page-worst = Worst deviation
page-ambient = Air temperature
page-temperature = Temperature
page-resistance = Internal resistance
page-charge = State of charge
page-capacity = Capacity
page-health = State of health
page-life = Years left
page-runtime = Runtime
page-breaker = Breaker
page-charger = Charger
page-equalizing = Equalizing
page-bypass = Bypass
page-activity = What is done at it
page-age = Age of the values
page-bus = Bus / address
page-serial = Serial number
page-pause = Pause equalizing
page-pause-for = For hours
page-pause-wanted = The hours of a pause are 1 to 168.
page-resume = Resume equalizing
page-reset-trip = Reset trip
page-test = Begin battery test
page-stop-test = End battery test
page-locate = Let its lamp blink
page-lamp-lit = The lamp of the module blinks for two minutes.
page-measure = Measure resistance
page-measuring = The resistance is being measured.
page-column-voltage = V
page-column-deviation = Deviation, mV
page-column-temperature = °C
page-column-resistance = mΩ
page-column-charge = Charge, %
page-column-health = Health, %
page-column-bypass = Bypass, %
page-trends = Trends
page-span-1h = 1 hour
page-span-24h = 24 hours
page-span-7d = 7 days
page-span-30d = 30 days
page-span-1y = 1 year
page-chart-blocks = Block voltages, lowest to highest
page-chart-temperatures = Block temperatures, lowest to highest
page-chart-summary = From { $low } to { $high }, last { $last }.
page-chart-nothing = Nothing is recorded for this time.
page-as-table = As a table
page-lowest = Lowest
page-mean = Mean
page-highest = Highest

## Discharges
page-discharge = Discharge
page-no-discharges = No discharge is recorded.
page-of-all-strings = Those of all strings
page-began = Began (UTC)
page-duration = Duration
page-drawn = Drawn
page-energy = Energy
page-mean-power = Mean power
page-depth = Of capacity
page-weakest = Weakest block
page-collapsed = Gave in, in this order
page-no-block = none
page-interruptions = Mains returned and failed again
page-ended = Ended
page-joined-late = Recorded from its middle
page-gaps = Gaps in the record
page-order = Order in which blocks gave in
page-order-short = Order
page-no-collapse = No block gave in.
page-replay = Moment by moment
page-no-rows = The course of this discharge is not kept any more.
page-moment = Moment
page-compare-with = Beside
page-beside = Beside it:
page-then = V then
page-apart = From mean, mV
page-before = Before, V
page-end = At the end, V
page-after = After, V
page-other-end = Other, at the end, V
page-difference = Difference, mV

## Rules, jobs, calendar
page-jobs = Jobs
page-job = Job
page-no-jobs = No jobs.
page-new-job = New job
page-starts-on = Starts on
page-timing = When
page-does = Does
page-undo = When it is over
page-waiting = Waiting
page-last-outcome = Last outcome
page-rules = Rules
page-rule = Rule
page-no-rules = No rules.
page-new-rule = New rule
page-now = Now
page-true = true
page-false = false
page-expression = Expression
page-expression-help = For example
page-document = As a text
page-document-show = All of it as one document
page-document-help = Rules, jobs, run orders and calendar (TOML)
page-take-into-force = Take into force
page-automation-changed = Somebody else changed rules, jobs or calendar meanwhile. Load the form anew and change it again.
page-name = Name
page-name-wanted = A name has 1 to 40 of a-z, 0-9 and “-”.
page-name-taken = There is another one of this name.
page-needed = This is needed.
page-whole-number = A whole number.
page-when-wanted = Name an event, or what it is about, or how bad it is.
page-any-event = any
page-fields = Fields of the event
page-fields-help = One a line, name = value; several values with commas. Example: ups = ups.0
page-fields-wanted = One a line, name = value.
page-times = Times in all
page-every-s = Every, s
page-coalesce = One of many within, s
page-only-if-still = only if it is still true then
page-after-delay = after { $time }
page-repeated = { VALUE($times) } times, every { $time }
page-one-of-many = one of many within { $time }
page-action-kind = What is done
page-undo-kind = What is done then
page-no-undo = nothing
page-choose = Choose
page-try = Try it dry
page-remove = Remove
page-confirm-legend = To be confirmed
page-confirm = This can hurt. Tick what you want all the same, and save again:
page-unknown = While an input is not known
page-unknown-false = it is false
page-unknown-true = it is true
page-unknown-hold = it stays as it was
page-rule-text = What it says; empty: its name
page-rule-tells = Tells when it becomes true and when it is over
page-job-for-this = New job for this
page-do-log = Write into the log
page-do-output = Switch an output
page-do-alarm-relay = Alarm relay by hand
page-do-mute = Mute the buzzer
page-do-signal = Buzzer and lamp of the box
page-do-lamp = Lamp of a module or device
page-do-command = Tell a UPS or the appliance
page-do-notify = Tell by a notifier
page-do-webhook = Send to a web server
page-do-wake-on-lan = Wake a machine
page-do-sequence = Begin a run order
page-do-day = Every so many days
page-do-week = Every week
page-do-month = Every month
page-do-month-weekday = Weekday of every month
page-do-year = Every year
page-do-minutes = Every so many minutes
page-do-once = Once
page-param-text = Text
page-param-severity = Level
page-param-device = Device
page-param-output = Output
page-param-on = On
page-param-healthy = Picked up
page-param-tone = Tone
page-param-lamp = Lamp blinks
page-param-seconds = For seconds
page-param-bus = Bus
page-param-address = Address
page-param-target = Whom, e.g. ups.0
page-param-command = Command, e.g. shutdown.return
page-param-value = Value, if it takes one
page-param-plugin = Notifier
page-param-to = To
page-param-mac = Network card (MAC)
page-param-secure-on = SecureOn password
page-param-sequence = Run order
page-param-at = At
page-param-days = Every … days
page-param-weekdays = On
page-param-day = Day; −1 is the last of the month
page-param-nth = Which, 1 to 4; −1 is the last
page-param-weekday = Day of the week
page-param-month = Month, 1 to 12
page-param-minutes = Minutes
page-param-window = Only within, e.g. 08:00-18:00 mon-fri
page-word-yes = yes
page-word-no = no
page-word-info = Information
page-word-warning = Warning
page-word-alarm = Alarm
page-word-slow = slow
page-word-rare = rare
page-word-steady = steady
page-word-silent = silent
page-word-mon = Mon
page-word-tue = Tue
page-word-wed = Wed
page-word-thu = Thu
page-word-fri = Fri
page-word-sat = Sat
page-word-sun = Sun

## Dry run
page-rehearsal = Dry run
page-rehearsal-help = Rules and jobs in force go through the recorded past or through a script, in virtual time. Nothing is done: no output is switched, nothing is sent, no UPS is told anything.
page-rehearsal-outage = What would happen in an outage of half an hour, with this job.
page-job-would-do = job { $job }: { $action }
page-job-would-undo = job { $job }: { $action }, to take it back
page-not-recorded = Not recorded and taken as not known; what rules read of it could not be looked at:
page-log-begins = The log begins only at { $at }: nothing is known of what happened before.
page-not-simulated = Not tried: nothing that follows from the points of this script can begin these jobs:
page-nothing-was-done = Nothing of this was done.
page-nothing-happens = Nothing would happen.
page-would-happen = What would happen
page-would-do = would do
page-in-the-past = Through the recorded past
page-last-days = Last days
page-in-a-script = Through a script
page-script = Script (TOML)
page-go-through = Go through
page-after-start = After the start
page-what-kind = Kind
page-what-happens = What

## Calendar
page-no-calendar = Nothing is on the calendar.
page-entry = Entry
page-new-entry = New entry
page-how-often = How often
page-rhythm = Rhythm
page-next-runs = Next runs
page-show-runs = Show the next runs
page-never-again = never again
page-missed = If it was missed
page-missed-skip = It is left out.
page-missed-run-once = It is run as soon as possible.
page-missed-within = It is run unless it is later than { VALUE($hours) } h.
page-missed-hours = It is run unless it is too late:
page-nothing-starts = starts no job
page-zone = Time zone
page-zone-name = Time zone, like Europe/Berlin
page-not-before = Not before
page-not-after = Not after
page-rhythm-minutes = every { VALUE($minutes) } min { $window }
page-rhythm-day = { $days ->
    [one] every day at { $at }
   *[other] every { VALUE($days) } days at { $at }
  }
page-rhythm-week = { $weekdays } at { $at }
page-rhythm-month = { $day ->
    [-1] last day of the month at { $at }
   *[other] day { $day } of the month at { $at }
  }
page-rhythm-month-weekday = { $nth ->
    [-1] last { $weekday } of the month at { $at }
   *[other] { $weekday } no. { $nth } of the month at { $at }
  }
page-rhythm-year = every year, month { $month } day { $day } at { $at }
page-rhythm-once = on { $on } at { $at }

## Firmware
page-firmware = Firmware
page-firmware-none = This appliance has no slots for firmware: whoever runs its computer updates it.
page-firmware-program = Version of the program
page-firmware-runs = What runs
page-firmware-version = Version
page-slot = Slot
page-firmware-started = Started because
page-firmware-epoch = Epoch
page-firmware-keyring = Number of the keyring in force
page-firmware-root = Root of the hash tree
page-firmware-development = Signed with a development key: for a workshop, not for a plant.
page-firmware-trial = It has not proved itself yet: healthy for { $healthy }, { $tries ->
    [one] one start is left to it
   *[other] { VALUE($tries) } starts are left to it
  }. { $missing }
page-firmware-without = Plugins that ran before and do not now, for which it does not wait: { $plugins }.
page-firmware-now = May it be changed now?
page-firmware-may = Nothing speaks against it.
page-firmware-may-not = Not now. Measuring and protecting come first:
page-hindrance-no-guard = the guard does not answer
page-hindrance-on-battery = { $what } feeds its load from the battery
page-hindrance-not-charged = { $what } is not charged yet
page-hindrance-test = battery test { VALUE($test) } is under way
page-hindrance-alarm = { $what } has an alarm
page-firmware-other = The other slot
page-slot-empty = empty
page-slot-writing = being written
page-slot-ready = ready to start
page-slot-trial = on trial
page-slot-good = good, it ran before
page-slot-bad = bad
page-firmware-progress = Version { $version }: { VALUE($taken) } of { VALUE($total) } KiB are in.
page-look-again = Look again
page-firmware-goes-on = Send the same file again to go on where it broke off.
page-firmware-file = A signed firmware bundle (.evkf)
page-upload = Upload
page-firmware-help = It is checked piece by piece while it comes, and nothing starts yet. What runs goes on.
page-firmware-activate = Restart into it
page-firmware-go-back = Restart into the other slot
page-firmware-abandon = Give it up
page-firmware-way-back = Way back
page-firmware-open = Older firmware may start still; after { $after } of healthy running no more
page-firmware-closed = Firmware of a lower epoch does not start any more
page-firmware-make-permanent = Make it permanent
page-firmware-permanent-confirm = Older firmware with a known hole never starts again, not even when I want it.
page-firmware-permanent-wanted = Tick that older firmware may never start again.
page-firmware-permanent = What runs is permanent: older firmware with a known hole does not start any more.
page-firmware-confirm = The console is away for about a minute; protection goes on.
page-firmware-confirm-wanted = Tick that the appliance may restart.
page-firmware-taken = The firmware is in and whole. It starts when you say so.
page-firmware-abandoned = Given up; the slot can be used again.
page-firmware-restarts = The appliance restarts now. Load this page again in about a minute.
page-factory = Back to how it left the factory
page-factory-help = Everything that is kept is erased and cannot be brought back: users, settings of the batteries too, history, logs, plugins, licences, keys and certificate. Firmware, its way back and the serial number stay. The appliance restarts; its first password is on the serial console again.
page-factory-serial = To confirm, type the serial number of this appliance (page Licence)
page-factory-button = Erase everything
page-factory-wrong = This is not the serial number of this appliance; nothing was done.
page-factory-begun = The appliance restarts and erases everything now. Everybody is signed out.

## Licence
page-licence = Licence
page-licence-edition = Edition
page-licence-serial = Serial number of the appliance
page-licence-reason = Why
page-licence-judge = Judged by
page-licence-nobody = nobody, so it is LC
page-licence-until = Judged again
page-licence-no-end = when something changes
page-licence-grace = Nobody judges licences now. The edition holds for another { VALUE($hours) } h, then it is LC; see to the licence gate among the plugins.
page-licence-limits = What is limited
page-licence-unlimited = Nothing is limited.
page-licence-blocks = Values of the first { VALUE($blocks) } blocks are shown and kept.
page-licence-ups = Values of a UPS of up to { $power } are shown and kept.
page-licence-blocks-over = { $blocks ->
    [one] One block is
   *[other] { VALUE($blocks) } blocks are
  } over the licence: watched for safety only.
page-licence-ups-over = { $ups } is over the licence: its state and its alarms only.
page-licence-never = Protection is never limited. Every block is measured, equalized and protected, and every alarm is told, with any licence and without one.
page-licence-files = Licence files
page-licence-no-files = None: this is the LC edition.
page-licence-signed = signed by a trusted key
page-licence-file = A licence file (.evkl) for this serial number

## Webhooks
page-webhooks = Webhooks
page-webhook = Web server
page-webhooks-help = Web servers that jobs may tell. Each message is signed with the server's key.
page-no-webhooks = No job can tell a web server yet.
page-new-webhook = Add a web server
page-webhook-url = Address
page-webhook-url-help = Like https://host/path; http only where the network is trusted.
page-webhook-key = Key
page-webhook-key-help = 16 to 256 bytes. Empty: the one that is there stays, and a new web server gets a random one.
page-webhook-key-once = Give it to the web server now: it cannot be shown again.
page-webhook-ca = Its own authorities
page-webhook-ca-help = Certificates as PEM; empty: those of the system.
page-webhook-server-name = Name in its certificate
page-webhook-server-name-help = When it is not the host of the address.
page-webhook-pin = Fingerprint of its certificate
page-webhook-pin-help = SHA-256 in hex; then nothing else is looked at.
page-webhook-test = Test
page-webhook-send = Send a test message
page-webhook-took = { $name } took the message.
page-webhook-took-not = { $name } did not take the message: { $reason }
page-certificate = Certificate
page-certificate-shown = What browsers are shown
page-certificate-subject = For
page-certificate-names = Host names and addresses
page-certificate-issuer = Issued by
page-certificate-issuers = Sent along
page-certificate-key = Key
page-certificate-from = Valid from
page-certificate-until = Valid until
page-certificate-fingerprint = SHA-256
page-certificate-source = Origin
page-certificate-own = The appliance made it itself; browsers warn
page-certificate-installed = An administrator installed it
page-certificate-trial = On trial for { $seconds ->
        [one] 1 more second
       *[other] { $seconds } more seconds
    }
page-certificate-trial-help = Open the console in another window by the address that people use. If it appears without a warning, confirm here; otherwise the certificate from before comes back by itself.
page-certificate-confirm = Keep this certificate
page-certificate-give-up = Back to the one before
page-certificate-on-trial = The certificate is taken, and on trial.
page-certificate-kept = The certificate is installed.
page-certificate-given-up = The certificate from before is shown again.
page-certificate-removed = The appliance shows its own certificate again.
page-certificate-remove = Remove the installed certificate
page-certificate-remove-help = Its key is removed with it; the appliance shows its own certificate again.
page-certificate-request = Request a certificate
page-certificate-requested = Request for your authority
page-certificate-request-help = Give this text to your authority, and install below what it sends. The key stays in the appliance.
page-certificate-waits = A request waits for its certificate; a new one makes it void.
page-certificate-names-help = One per line, the one that people use first; at most 20.
page-certificate-organisation = Organisation (if your authority wants it)
page-certificate-ask = Make the request
page-certificate-install = Install a certificate
page-certificate-install-help = PEM text with the certificate and those between it and its authority; with its key unless it was requested here.
page-certificate-file = File (.pem)

page-network = Network and time
page-network-now = As it is
page-network-interface = Interface
page-network-link = Cable
page-network-up = connected
page-network-down = not connected
page-network-addresses = Addresses
page-network-address = address with prefix
page-network-gateway = gateway
page-network-lent = Lent by a server
page-network-lease = { $server }, for { $minutes ->
        [one] 1 more minute
       *[other] { $minutes } more minutes
    }
page-network-host-name = Host name
page-network-dns-asked = Asked for names
page-network-clock = Clock
page-network-ntp-asked = Asked for the time
page-network-synchronized = Clock set or checked
page-network-ago = { $seconds ->
        [one] 1 second ago
       *[other] { $seconds } seconds ago
    }
page-network-offset = It was off by
page-network-ms = { $ms } ms
page-network-time-problem = Trouble with the time
page-network-change = Change it
page-network-change-help = A change is in force two seconds after it is sent, and on trial: unless it is kept in time, the network from before comes back by itself, after a power cut, too.
page-network-dhcp = from a server (DHCP)
page-network-auto = from routers (SLAAC)
page-network-own = address of its own
page-network-off = off
page-network-dns = Servers for names
page-network-dns-help = Addresses, one per line, at most 3; empty: those that are learned.
page-network-ntp-how = Time
page-network-learned = from servers that are learned
page-network-ntp-own = from these servers
page-network-ntp-off = nobody is asked
page-network-ntp = Servers for the time
page-network-ntp-help = Names or addresses, one per line, at most 4; with three, one that lies is outvoted.
page-network-within = Seconds in which it must be kept (10 to 600)
page-network-try = Try this network
page-network-trial-title = On trial
page-network-trial = The network from before comes back in { $seconds ->
        [one] 1 second
       *[other] { $seconds } seconds
    }
page-network-trial-help = Open the console by the address that the appliance has now, sign in there, and keep the network on this page.
page-network-confirm = Keep this network
page-network-give-up = Back to the one before
page-network-on-trial = The network is on trial. Open this page by its new address, sign in, and keep it.
page-network-kept = The network is kept.
page-network-given-up = The network from before is back.

page-factor = Second factor
page-factor-off = Off
page-factor-on = On since
page-factor-help = With it, signing in takes a code that an app on your phone shows, beside the password. Any app for one-time codes (TOTP) will do.
page-factor-elsewhere = Your account is kept elsewhere; so is its second factor.
page-factor-password = Your password
page-factor-begin = Turn it on
page-factor-new = Add the appliance to your app
page-factor-new-help = Let the app read the picture, or type the secret into it. Then type the code that it shows.
page-factor-picture = Picture of the secret, for the app
page-factor-open = Open in an app on this device
page-factor-code = Code of the app
page-factor-any-code = Code of the app, or a recovery code
page-factor-confirm = Confirm
page-factor-codes = Recovery codes
page-factor-codes-help = Each lets you in once without the phone. Copy them now to a safe place: they cannot be shown again.
page-factor-left = { $count ->
    [one] One recovery code is left.
   *[other] { $count } recovery codes are left.
}
page-factor-remove = Turn it off
page-factor-required = The role { $role } requires a second factor.
page-factor-first = Nothing else opens before it is on.
page-factor-go-on = I have copied them: go on
page-factor-stays = It cannot be turned off. For another phone, an administrator removes it on the Accounts page; the next sign-in turns on another.
## Configuration
page-configuration = Configuration
page-documents = Documents
page-document-thresholds = Thresholds
page-document-automation = Rules, jobs and schedule
page-document-webhooks = Webhooks
page-document-login = Sign-in elsewhere
page-document-second-factor = Required second factor
page-document-site = Site
page-document-configuration = The appliance's own file
page-revision = Revision
page-revisions = Revisions
page-never-changed = Never changed: the built-in one is in force.
page-configuration-export = Take it away
page-configuration-export-help = One readable file of what you may see here. Secrets are not in it; neither are users, roles, tokens, keys, certificates and licences.
page-configuration-file = Download the file (.toml)
page-configuration-import = Import
page-configuration-import-help = First you see what would change. Then all that you ticked comes into force at once, or nothing does.
page-configuration-chosen = File (.toml)
page-configuration-look = Show what would change
page-configuration-would = What would change
page-configuration-nothing-yet = Nothing was changed yet. Where dots stand for a secret, the one in force stays.
page-configuration-keyless = A key will be made, and shown once, for:
page-configuration-passed-over = For reading alone, and not imported:
page-configuration-this = Import this
page-configuration-empty = There is nothing in the file that could be imported.
page-configuration-take = Import what is ticked
page-configuration-imported = Imported and in force.
page-configuration-restored = Restored and in force, as a new revision.
page-configuration-no-text = This file is no text.
page-configuration-tick = Tick that you want it.
page-differences = Differences
page-no-difference = No difference.
page-lines-left-out = { $count ->
    [one] 1 line more
   *[other] { $count } lines more
  }
page-compare = Compare
page-compare-from = From
page-compare-to = To
page-nothing = nothing
page-in-force = what is in force
page-restore = Back to revision
page-restore-column = Way back
page-restore-look = Restore …
page-restore-confirm = I want this to be in force.
page-restore-now = Restore
page-support = Support
page-support-help = An archive for whoever helps you: state, newest events, metrics, failures of plugins, configuration. No secret is in it, and nothing about who signed in.
page-support-file = Download the archive (.tar)

## The password once more, before what could do harm
page-step-up = Is it you?
page-step-up-help = This needs your password again: the last time is more than five minutes ago.
page-step-up-code = Code of the app, or a recovery code
page-step-up-go-on = Go on
page-step-up-leave = Rather not
page-step-up-file = Then choose the file once more.
page-step-up-elsewhere = Your password is kept elsewhere. Sign in again, then repeat what you wanted.
page-step-up-before = Give your password before you choose a file: the last time is more than five minutes ago.
page-sign-in = Sign in
page-user = User

## Claiming the appliance, and passwords
page-claim = Claim this appliance
page-claim-help = Nobody has claimed it yet. Measuring and protecting run already; everything else begins with you.
page-claim-where = The claim code is the first password of admin. The appliance shows it on its serial console until it was used; it is no word that could be guessed, and counts once.
page-claim-code = Claim code
page-claim-go-on = Go on
page-password-change = Change the password
page-password-first = Choose your own password before you go on. What you signed in with counts no more then.
page-password-elsewhere = Your account is kept elsewhere: change its password there.
page-password-rule = At least 15 characters; any characters count. A sentence is easy to remember.
page-password-old = Present password, or claim code
page-password-new = New password
page-password-again = New password again
page-password-wrong = This is not right.
page-password-short = It needs at least 15 characters; a sentence is easy to remember.
page-password-long = It may have at most 256 characters.
page-password-unconfirmed = The two new passwords are not the same.
page-password-same = The new password must differ from the present one.
page-password-guessable = It is easy to guess; avoid names, repetitions and rows of keys.
page-throttled = Too many attempts. Try again in { $seconds } s.

## Setup
page-setup = Setup
page-setup-help = What an appliance needs once. Each step can be left and taken up again; what is not set stays marked here and on the live page. Measuring and protecting do not wait for it.
page-setup-go-on = Go on
page-setup-whole = Everything is set.
page-setup-not-set = Not set
page-setup-is-set = set
page-setup-is-left = left for later
page-setup-is-open = not set
page-setup-place = Step { $number } of { $of }
page-setup-skip = Leave for later
page-setup-save = Save and go on
page-setup-next = Next step
page-setup-list = All steps
page-setup-appliance = Site and time
page-setup-appliance-help = Compare the fingerprint with the one that your browser shows: then nobody is in between. The time zone counts for the calendar and for times in messages.
page-setup-site = Name of the site
page-setup-where = Place: building, room
page-setup-name = Name
page-setup-serial = Serial number
page-setup-now = Its clock shows
page-setup-language = Language of messages
page-setup-battery = Battery strings
page-setup-battery-help = Block types and numbers come from the settings of the guard, which protects by them without this console. Compare them with what hangs on the bus.
page-setup-configured = Configured
page-setup-answered = Modules
page-setup-blocks = { $count ->
    [one] 1 block
   *[other] { $count } blocks
  }
page-setup-seen = { $seen } of { $of } answer
page-setup-no-strings = No string is configured, or the guard does not answer.
page-setup-bus = Bus
page-setup-not-searched = not searched yet
page-setup-found = { $count ->
    [one] 1 station found
   *[other] { $count } stations found
  }
page-setup-discover = Search the bus
page-setup-battery-change = Set strings and batteries
page-setup-battery-settle = This is right
page-setup-limits = Limits and alarms
page-setup-limits-help = These are proposed, and in force. Protection has limits of its own, which stay whatever is set here.
page-setup-limits-change = Change them
page-setup-limits-settle = Use these
page-setup-receiver = Whom it tells
page-setup-receiver-help = A web server that takes messages. It is sent a test message at once; jobs say of what it is told.
page-setup-receiver-save = Save and send a test message
page-setup-notifiers = Syslog and other ways: by a plugin
page-setup-ups = UPS
page-setup-ups-help = A UPS is read by a plugin, which gets only what you grant it.
page-setup-no-ups = No UPS is read.
page-setup-install = Install a plugin, or grant one its line
page-setup-ups-settle = There is no UPS
page-setup-users = Users
page-setup-users-help = Everybody with an account of their own, and with what they need: then the audit log says who it was.
page-setup-user-name = Name: a-z, 0-9, “.”, “_”, “-”
page-setup-role = Role
page-setup-add = Add
page-setup-first = First password of
page-setup-first-help = Tell it to them. It is shown once, counts for 15 minutes and must be changed at the first sign-in.
page-setup-users-settle = Nobody else

## Commissioning
page-commissioning = Commissioning
page-document-guard = Strings, batteries and protection
page-commissioning-taken = The guard protects by these settings now.
page-commissioning-begun = It has begun; its state stands beside the bus.
page-commissioning-wrong = Nothing was changed: look at the marked fields.
page-commissioning-changed = Other settings came into force meanwhile. Look at them and begin anew.
page-commissioning-fallback = The guard's file is not in force, but its last good settings are:
page-commissioning-same = Nothing but remarks would differ.
page-commissioning-not-now = Not now:
page-commissioning-what-happens = The guard checks them again and goes on with them within two cycles: bypasses are off for that time, outputs that were switched by hand go off, and what it learned of strings that stay the same is kept.
page-commissioning-despite = The alarm comes from the settings that are to be changed
page-commissioning-take = Protect by these
page-commissioning-leave = Leave it as it is
page-commissioning-form = Strings and batteries
page-commissioning-help = What hangs on the buses, and of which type it is. Protection and equalization follow it. A string takes its type from this list or from the catalogue of common sizes; float voltage and resistance stand on the data sheet.
page-commissioning-number = Settings number
page-commissioning-answers = Answers
page-commissioning-report = Commissioning report
page-configuration-revisions = Earlier settings
page-commissioning-types = Types of block
page-commissioning-chemistry = Chemistry
page-commissioning-cells = Cells in a block
page-commissioning-capacity = Capacity, Ah
page-commissioning-float = Float voltage, V per cell
page-commissioning-resistance = Resistance when new, mΩ
page-commissioning-new = new
page-commissioning-strings = Strings
page-commissioning-first = First address
page-commissioning-module = Module
page-commissioning-type = Type of block
page-commissioning-catalogue = Catalogue
page-commissioning-equalize = Equalize
page-commissioning-parts = Blocks that are not alike: see the text
page-commissioning-buses = Buses
page-commissioning-buses-help = Addresses are given by pressing the button of one module after the other; those of the settings only.
page-commissioning-break = Locate a break of the ring
page-commissioning-stop = End the work
page-commissioning-count = How many
page-commissioning-address = Give addresses
page-commissioning-swap-address = Address of the lost module
page-commissioning-swap = Replace a module
page-commissioning-text = All settings as text
page-commissioning-text-help = Everything by which the guard protects (TOML): buses and their wiring plans, devices, breakers, limits, tests. The form keeps what it does not ask for, but no remarks.
page-commissioning-since = In force since
page-commissioning-whose = Changed by
page-commissioning-at = Looked at
page-commissioning-by = By
page-commissioning-whole = All of it is as the settings say.
page-commissioning-open = Open
page-commissioning-port = Port
page-commissioning-found = Found by the search
page-commissioning-busy = Line busy
page-commissioning-wiring = Wiring plan: needs / supply
page-commissioning-loops = loops
page-commissioning-devices = Sensors, contacts, relays
page-commissioning-kind = Kind
page-commissioning-place = Bus / address
page-commissioning-addresses = addresses
page-commissioning-block = Block
page-commissioning-bus-address = Address
page-commissioning-sign = Date, name, signature: ______________________________
page-battery-number = A number, as the data sheet has it.
page-thing-bus = bus
page-thing-battery = type of block
page-thing-device = device
page-thing-string = string
page-thing-test = battery test
page-thing-general = for all
page-change-added = { $what } is new.
page-change-removed = { $what } goes away.
page-change-set = { $what }: { $field } becomes { $to }, was { $from }.
page-change-none = not set
page-change-forgotten = { $what }: what was learned of it (capacity, health, resistances when new) begins anew.
page-open-guard = The guard does not answer, or its last good settings stand in for its file.
page-open-port = The port of bus { $bus } is gone.
page-open-not-searched = Nobody has searched bus { $bus } since the guard started.
page-open-no-plan = No wiring plan of bus { $bus }: nobody has said how it is wired and supplied.
page-open-silent = String { $string }, block { $block } (address { $address }): no reading.
page-open-other-type = Bus { $bus }, address { $address }: found is { $found }, the settings say otherwise.
page-open-stranger = Bus { $bus }, address { $address }: speaks and is in no settings.
page-open-device = Device { $name } does not answer, or is something else.

## Signing in and accounts
page-sign-in-help = Battery and UPS monitoring. Sign in to go on.
page-sign-in-password = Password
page-answer-help = One more question before you go on.
page-answer = Answer
page-answer-again = Begin again
page-accounts-users = Users
page-accounts-roles = Roles
page-accounts-groups = Groups
page-accounts-may = May
page-accounts-state = State
page-accounts-ends = Ends
page-accounts-disabled = disabled
page-accounts-first = first password
page-accounts-active = active
page-accounts-factor = second factor
page-accounts-factor-missing = no second factor yet
page-accounts-required = Second factor required
page-accounts-required-roles = Roles that require it
page-accounts-required-none = No role requires it.
page-accounts-required-help = Who has such a role and no second factor yet turns one on after the next sign-in, before anything else. Accounts that are kept elsewhere are asked there, and tokens of programs go on. Turn on your own first.
page-accounts-change = Change
page-accounts-no-entry = may not sign in
page-accounts-reset = New first password
page-accounts-remove-factor = Remove the second factor
page-accounts-add-user = Add a user
page-accounts-name-help = a-z, 0-9, “.”, “_”, “-”. The first password is shown once and counts for 15 minutes.
page-accounts-role = Role
page-accounts-add-role = Add a role
page-accounts-none = None.
page-accounts-group = Group
page-accounts-members = Members
page-accounts-add-group = Add a group
page-accounts-roles-of = Roles of its members
page-accounts-tokens = Tokens of programs
page-accounts-token = Token
page-accounts-for = For
page-accounts-owner = In the name of
page-accounts-withdraw = Withdraw
page-accounts-make-token = Make a token
page-accounts-what-for = What it is for
page-accounts-whose = In whose name it acts
page-accounts-days = Days until it ends
page-accounts-make = Make
page-accounts-sessions = Who is signed in
page-accounts-from = From
page-accounts-since = Since
page-accounts-left = Ends in, min
page-accounts-this = this one
page-accounts-others = End my other sessions
page-accounts-elsewhere = Who else may sign in
page-accounts-by-file = The configuration file decides:
page-accounts-nobody-else = Nobody: no authenticator is installed. The accounts that are kept here decide alone.
page-accounts-authenticators = Authenticators, in the order in which they are asked
page-accounts-installed = Installed:
page-accounts-empty-alone = Empty: the accounts that are kept here decide alone.
page-accounts-words = Roles by the authenticators’ words, one “word = role” a line
page-accounts-nobody = Nobody.
page-area-battery = battery
page-area-devices = devices
page-area-alarms = alarms
page-area-events = events
page-area-history = history
page-area-automation = automation
page-area-plugins = plugins
page-area-accounts = accounts
page-area-audit = audit
page-area-system = system
page-level-none = nothing
page-level-view = view
page-level-operate = operate
page-level-configure = configure
page-accounts-everything = everything
page-accounts-never = never
page-accounts-first-of = First password of { $user }
page-accounts-first-help = Tell it to them. It counts until { $until } UTC and must be changed at the first sign-in.
page-accounts-token-help = Copy it now: it is not kept and cannot be shown again.
page-sign-in-wrong = Wrong user or password.
page-answer-wrong = The code is wrong, or was used before. Begin again.

## What is refused
page-refused-missing = Not found
page-refused-forbidden = Not allowed
page-refused-undone = Not done
page-refused-back = Back to the live page
page-refused-not-found = There is nothing here
page-refused-not-allowed = This account may not do that
page-refused-bad-request = The request makes no sense
page-refused-method = This path does not have this method
page-refused-too-long = The file is too long
page-refused-store = The store cannot be used
page-refused-no-guard = The guard has not answered yet
page-refused-refused = The guard refused the order

## Plugins
page-plugin = Plugin
page-plugins-installed = Installed plugins
page-plugins-none = None yet.
page-plugins-install = Install one from the bundles below.
page-plugins-bundles = Bundles that can be installed
page-plugins-file = A signed bundle of a vendor (.evkp)
page-plugin-for = For
page-plugin-version = Version
page-plugin-signer = Signed by
page-plugin-processor = Processor
page-plugin-memory = Memory
page-plugin-failures = Failures
page-plugin-last-problem = Last problem
page-plugin-vendor = Vendor
page-plugin-from = From
page-plugin-does = What it does
page-plugin-shipped = firmware
page-plugin-uploaded = upload
page-plugin-is-starting = starting
page-plugin-is-running = running
page-plugin-is-backoff = backoff
page-plugin-is-quarantined = quarantined
page-plugin-is-refused = refused
page-plugin-is-disabled = disabled
page-plugin-is-stopped = stopped
page-world-driver = driver
page-world-gateway = gateway
page-world-notifier = notifier
page-world-authenticator = authenticator
page-world-licence-gate = licence-gate
page-plugin-tried = Tried what it may not,
page-plugin-in-call = It has been busy or waiting in one call for { $count } s.
page-plugin-vendor-says = Vendor, as it says itself
page-plugin-publishes = Publishes under
page-plugin-costs = What it costs
page-plugin-calls = Calls
page-plugin-poll = Usual poll
page-plugin-slowest = Slowest call
page-plugin-processor-time = Processor time
page-plugin-serial = Serial lines
page-plugin-usb = USB devices
page-plugin-network = Network
page-plugin-appliance = Appliance
page-plugin-traffic = { $sent } bytes sent, { $received } received
page-plugin-refused = Refused
page-plugin-times = { $count } times
page-plugin-told = What it told
page-plugin-untold = The next event is not told yet:
page-plugin-waiting = Waiting, at most
page-plugin-last-told = Last told
page-plugin-nothing-told = nothing since the start
page-plugin-enable = Switch on
page-plugin-restart = Restart
page-plugin-disable = Switch off
page-plugin-roll-back = Back to the version before
page-plugin-change = Change grants and settings
page-plugin-may = What it may do
page-plugin-not-loaded = Not known while it is not loaded.
page-plugin-harm = What of it can do harm
page-plugin-confirmed-file = confirmed by whoever wrote the configuration file
page-plugin-confirmed-person = confirmed by an administrator
page-plugin-failed = How it failed last
page-plugin-recording = Recording
page-plugin-in = in
page-plugin-called-by = called by
page-plugin-repeats = and { $count } times more within the hour
page-plugin-recording-help = What the plugin received and kept is in it; its secrets are not.
page-plugin-for-vendor = for its vendor
page-plugin-said = What it said last
page-plugin-silent = Nothing yet.
page-plugin-wrong = Nothing was changed: see the marked fields
page-bundle-memory = Memory, at most
page-bundle-call = Processor time of a call
page-bundle-asks = What it asks for
page-bundle-change = Change it
page-bundle-install = Install it
page-bundle-name = Name and place
page-bundle-id = Name on this appliance
page-bundle-id-help = Needed only when there are several of it.
page-bundle-points = Where its values go
page-bundle-grants = What it may use
page-bundle-settings = Settings
page-bundle-lines = One “name = value” a line; empty for the defaults
page-bundle-set = set; empty keeps it
page-bundle-not-set = not set
page-bundle-forget = Take it back
page-bundle-word = Your word
page-bundle-consent = I have read above what it asks for, and accept it
page-bundle-harm = These grants can do harm:
page-bundle-confirm = To confirm, repeat each of these words here, one a line
page-bundle-save = Save and restart it
page-bundle-do-install = Install
page-setting-range = { $low } to { $high }
page-setting-steps = in steps of { $value }
page-setting-unchosen = { $value } when nothing is chosen
page-setting-empty = { $value } when empty
page-may-serial-serial = talk to the device on the serial line “{ $what }”
page-may-hid-hid = read the USB device “{ $what }”, and tell it what to do if you say so
page-may-net-client-net-client = connect to the peer “{ $what }”
page-may-net-server-net-server = { $what ->
    [none] send unasked on its connections
   *[other] answer on the network address “{ $what }”
  }
page-may-snmp-client-snmp-client = ask the SNMP agent “{ $what }”
page-may-points-points = { $what ->
    [none] publish measured values
   *[other] publish measured values (“{ $what }”)
  }
page-may-points-reader = read measured values (“{ $what }”)
page-may-commands-commands = give commands (“{ $what }”)
page-may-commands-offers = { $what ->
    [none] carry out commands on its device, by which a UPS can cut its load
   *[other] carry out commands on its device, by which a UPS can cut its load (“{ $what }”)
  }
page-may-contacts-contacts = read the contact “{ $what }”, and switch it if you say so
page-may-events-events = { $what ->
    [none] add events for information to the log
   *[other] read the event log, or add warnings and alarms, as you say (“{ $what }”)
  }
page-may-events-types = { $what ->
    [none] understand events
   *[other] be told what happens (“{ $what }”)
  }
page-may-crypto-crypto = { $what ->
    [none] compute digests and check signatures
   *[other] compute with the secret “{ $what }” without seeing it
  }
page-may-log-log = write to the log
page-may-clock-clock = know the time
page-may-config-config = read its settings
page-may-random-random = use random numbers
page-may-kv-kv = remember a little over restarts

## The live page
page-live-store-failed = The store cannot be written; events are kept in memory. { $error }
page-live-stale = No live data from the appliance; the values are old.
page-live-notices = Notices
page-live-mute = Mute the buzzer
page-live-no-strings = No battery string yet: the guard has not answered.
page-live-charge = Charge
page-live-sum = Sum
page-live-worst = Worst
page-live-spread = Spread
page-live-mean-bypass = Mean bypass
page-live-pause = Pause for 1 h
page-live-board = Deviation from target in millivolts, block by block
page-live-legend-above = Orange: above target,
page-live-legend-below = blue: below; a bar ends at ±100 mV, an arrow means further. Teal line: bypass.
page-live-legend-out = out of band (±10 mV),
page-live-legend-old = no live value and for how long,
page-live-legend-wrong = warning or (filled) alarm.
page-live-ups = UPS
page-live-point = Point
page-live-quality = Age or quality
page-live-guard = Guard
page-live-counter = Counter
page-live-events = Recent events
page-live-time = Time (UTC)
page-live-licence-file = Install a licence (.evkl):
page-live-licence-done = Installed.
page-live-silent = The appliance does not answer.
page-live-polls = Polls
page-live-last-error = Last error
page-live-alarms = { $count ->
    [one] 1 alarm
   *[other] { $count } alarms
  }
page-live-warnings = { $count ->
    [one] 1 warning
   *[other] { $count } warnings
  }
page-live-no-alarm = no alarm
page-live-acknowledged = { $count } acknowledged
page-live-latched = { $count } to be reset
page-live-shelved = { $count } put aside
page-live-over = { $count } over
page-live-blind = nobody knows what else: the guard does not answer
page-live-more = and { $count } more
page-live-sum-string = string { $number }: { $state }
page-live-sum-ups = UPS { $state }
page-live-sum-guard = guard: { $state }
page-live-sum-alarms = see the alarms
page-live-sum-plugin = a plugin needs attention
page-live-sum-notices = see the notices
page-live-all-in-band = all strings in band
page-live-all-well = All strings in band, { $ups }.
page-live-no-ups = no UPS configured
page-live-ups-on-mains = UPS on mains
page-live-no-voltage = no voltage
page-live-bypass = bypass
page-live-warning = warning
page-live-alarm = alarm
page-live-over-safety = over the licence: watched for safety only
page-live-worst-block = block { $number }: { $mv } mV
page-live-equalized = { $count } of { $of } blocks
page-live-equalizing-off = off: { $why }
page-live-no-data = no live data
page-live-missing = { $count ->
    [one] 1 block without live data
   *[other] { $count } blocks without live data
  }
page-live-no-target = no target yet
page-live-in-band = in band
page-live-out-of-band = out of band
page-live-closing = out of band, equalizing
page-live-runtime = { $minutes } min, surely { $low }
page-live-no-record = no record yet
page-live-spark = spread { $minutes } min, top { $mv } mV
page-live-serial = serial number
page-live-why = why
page-live-judge = judged by
page-live-nobody = nobody
page-live-grace = without a judgement
page-live-grace-left = holds for another { $hours } h, then it is LC; see to the licence gate
page-live-licence-refused = refused: { $why }
page-live-over-licence = over the licence
page-live-over-what = { $blocks } blocks, { $upses } UPSes: watched for safety only
page-live-limits = { $blocks ->
    [none] any number of blocks
   *[other] { $blocks } blocks
  }, { $va ->
    [none] UPSes of any size
   *[other] UPSes up to { $va } VA
  }
page-live-status-words = status words
page-live-beeper = beeper
page-live-estimated = estimated
page-live-stale-value = stale
page-live-bad = bad
page-live-ups-silent = does not answer
page-live-ups-no-status = reports no status
page-ups-OL = on mains
page-ups-OB = on battery
page-ups-LB = battery low
page-ups-RB = battery needs replacement
page-ups-CHRG = charging
page-ups-DISCHRG = discharging
page-ups-BYPASS = on bypass, load unprotected
page-ups-CAL = battery test
page-ups-OFF = output off
page-ups-OVER = overload
page-ups-TRIM = lowering high mains
page-ups-BOOST = raising low mains
page-ups-FSD = forced shutdown
page-ups-ALARM = alarm
page-guard-awaited = has not answered yet
page-guard-silent = does not answer, last seen { $age } ago
page-guard-running = running
page-guard-cycles = cycles
page-guard-cycles-of = { $cycles } of { $ms } ms
page-guard-missed = deadlines missed
page-guard-scan = scan of all modules
page-guard-work = work per cycle
page-guard-jitter = wake-up late, median · 99.9 % · most
page-guard-bad-frames = bad frames
page-guard-unexpected = unexpected frames
page-guard-replies = replies missed
page-guard-reopened = bus port reopened
page-guard-battery-bus-port-is-closed-or-gone = battery bus port is closed or gone
page-guard-settings-file-refused-last-good-settings-in-force = settings file refused, last good settings in force
page-guard-no-real-time-priority = no real-time priority
page-guard-memory-not-locked = memory not locked
page-guard-guard-not-fully-confined = guard not fully confined
page-guard-watchdog-not-armed-or-not-taking-its-feed = watchdog not armed or not taking its feed
page-guard-a-sensor-or-relay-device-on-a-bus-does-not-answer = a sensor or relay device on a bus does not answer
page-inhibit-waiting-for-every-block-to-report = waiting for every block to report
page-inhibit-too-few-blocks-have-usable-readings = too few blocks have usable readings
page-inhibit-discharge = discharge
page-inhibit-recovery-after-discharge = recovery after discharge
page-inhibit-boost-charge = boost charge
page-inhibit-paused-by-a-user = paused by a user
page-inhibit-switched-off-in-the-settings = switched off in the settings
page-inhibit-paused-by-schedule = paused by schedule
page-inhibit-battery-test = battery test
page-inhibit-breaker-open = breaker open
page-inhibit-thermal-alarm = thermal alarm
page-inhibit-commissioning = commissioning
page-inhibit-charger-off = charger off
page-point-battery-charge = charge of the UPS battery
page-point-battery-charge-restart = charge from which the UPS switches on again
page-point-battery-current = battery current; the sign is the UPS's own
page-point-battery-date = when the battery was installed
page-point-battery-packs = multiplier from the reported to the pack voltage
page-point-battery-runtime = runtime left at the present load
page-point-battery-runtime-low = runtime from which the battery counts as low
page-point-battery-temperature = temperature at the battery
page-point-battery-voltage = battery voltage as the UPS reports it
page-point-battery-voltage-high = voltage taken as fully charged
page-point-battery-voltage-low = voltage taken as empty
page-point-battery-voltage-nominal = nominal battery voltage
page-point-device-mfr = manufacturer of the device
page-point-device-model = model of the device
page-point-device-serial = serial number of the device
page-point-input-bypass-current = current of the bypass
page-point-input-bypass-frequency = frequency of the bypass
page-point-input-bypass-phase-n-voltage = bypass voltage of phase { $phase }
page-point-input-bypass-phase-current = bypass current of phase { $phase }
page-point-input-bypass-phase-realpower = bypass power of phase { $phase }
page-point-input-bypass-phases = phases of the bypass
page-point-input-bypass-realpower = power of the bypass
page-point-input-bypass-voltage = voltage of the bypass
page-point-input-current = input current
page-point-input-current-nominal = nominal input current
page-point-input-frequency = input line frequency
page-point-input-frequency-nominal = nominal line frequency
page-point-input-phase-n-voltage = input voltage of phase { $phase }
page-point-input-phase-current = input current of phase { $phase }
page-point-input-phase-realpower = input power of phase { $phase }
page-point-input-phases = phases of the input
page-point-input-realpower = input power
page-point-input-sensitivity = how soon the UPS leaves the mains
page-point-input-transfer-high = input voltage above which the UPS leaves the mains
page-point-input-transfer-low = input voltage below which the UPS leaves the mains
page-point-input-transfer-reason = why the UPS left the mains last
page-point-input-voltage = input voltage
page-point-input-voltage-fault = input voltage that caused the last transfer
page-point-input-voltage-maximum = highest input voltage of late
page-point-input-voltage-minimum = lowest input voltage of late
page-point-input-voltage-nominal = nominal input voltage
page-point-output-current = output current
page-point-output-frequency = output frequency
page-point-output-frequency-nominal = nominal output frequency
page-point-output-phase-n-voltage = output voltage of phase { $phase }
page-point-output-phase-current = output current of phase { $phase }
page-point-output-phase-power-percent = load of phase { $phase } in per cent of its rating
page-point-output-phase-realpower = output power of phase { $phase }
page-point-output-phases = phases of the output
page-point-output-realpower = output power
page-point-output-voltage = output voltage
page-point-output-voltage-nominal = nominal output voltage
page-point-ups-alarm = alarms that the UPS reports, as text
page-point-ups-delay-shutdown = delay of a shutdown
page-point-ups-delay-start = delay of a start
page-point-ups-firmware = firmware version of the UPS
page-point-ups-firmware-aux = firmware version of the card
page-point-ups-id = name that was given to the UPS
page-point-ups-load = load in per cent of the rating
page-point-ups-mfr = manufacturer of the UPS
page-point-ups-mfr-date = when the UPS was made
page-point-ups-model = model of the UPS
page-point-ups-power = apparent power of the load
page-point-ups-power-nominal = rated apparent power
page-point-ups-realpower = power of the load
page-point-ups-realpower-nominal = rated power
page-point-ups-serial = serial number of the UPS
page-point-ups-start-auto = yes when the UPS starts by itself with the mains
page-point-ups-temperature = temperature in the UPS
page-point-ups-test-date = when the last test was
page-point-ups-test-result = what the last test found
page-point-ups-timer-reboot = time until a restart; -1 for none
page-point-ups-timer-shutdown = time until the output goes off; -1 for none
page-point-ups-timer-start = time until the output comes on; -1 for none
page-point-ups-type = topology of the UPS

## What is wrong with a string or block, and what is done
page-breaker-closed = closed
page-breaker-open-not-opened-from-here = open, not opened from here
page-breaker-tripped-before-the-restart = tripped before the restart
page-breaker-opening = opening
page-breaker-open = open
page-breaker-told-to-open-not-confirmed = told to open, not confirmed
page-breaker-did-not-open = did not open
page-fault-module-has-never-answered = module has never answered
page-fault-module-stopped-answering = module stopped answering
page-fault-voltage-outside-the-module-s-range = voltage outside the module's range
page-fault-temperature-sensor-broken = temperature sensor broken
page-fault-module-of-another-type-than-configured = module of another type than configured
page-fault-module-has-not-said-who-it-is = module has not said who it is
page-activity-off-no-good-reading = off: no good reading
page-activity-off-with-its-string = off with its string
page-activity-off-too-hot = off: too hot
page-activity-off-voltage-too-low = off: voltage too low
page-activity-off-resistance-is-being-measured = off: resistance is being measured
page-activity-equalizing = equalizing
page-activity-bypass-fully-on-and-not-enough = bypass fully on and not enough
page-activity-module-reduces-its-bypass = module reduces its bypass
page-charger-not-known-yet = not known yet
page-charger-right = right
page-charger-this-chemistry-has-no-float-voltage = this chemistry has no float voltage

## Work on a bus, chemistries
page-work-searching = searching, { $count } searches so far
page-work-given-up = search given up: too many stations, or a line that garbles everything
page-work-complete = search complete
page-work-unclear = search complete, { $count } serial numbers cannot be told apart
page-work-addressing = address { $next } next, { $done } of { $of } done: { $note }
page-work-addressed = { $count } addresses given
page-work-break = locating the break of the ring
page-work-press-the-button-of-the-next-module = press the button of the next module
page-work-the-module-took-its-address-press-the-button-of-the-next-one = the module took its address; press the button of the next one
page-work-another-module-answers-to-this-address-already = another module answers to this address already
page-work-this-type-of-module-does-not-belong-here = this type of module does not belong here
page-work-this-module-has-already-got-its-address = this module has already got its address
page-work-two-buttons-were-pressed-at-once-press-one-again = two buttons were pressed at once; press one again
page-work-the-module-did-not-confirm-its-address-press-its-button-again = the module did not confirm its address; press its button again
page-chemistry-vented-lead-acid = vented lead-acid
page-chemistry-valve-regulated-lead-acid-AGM = valve-regulated lead-acid (AGM)
page-chemistry-valve-regulated-lead-acid-gel = valve-regulated lead-acid (gel)
page-chemistry-nickel-cadmium = nickel-cadmium
page-chemistry-nickel-metal-hydride = nickel-metal hydride
page-chemistry-lithium-iron-phosphate = lithium iron phosphate
page-chemistry-lithium-ion-layered-oxide = lithium-ion (layered oxide)
