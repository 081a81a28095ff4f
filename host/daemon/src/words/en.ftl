# English: every message there is. Another language that has not got one of
# them says it in English.

## Events

event-string-out-of-band = String { $string } out of band: a block is { VALUE($deviation_mv, unit: "mV", sign: 1) } from target
event-string-in-band = String { $string } in band: every block within ±{ VALUE($in_band_mv, unit: "mV") } of target
event-module-lost = String { $string } block { $block }: module stopped answering
event-module-back = String { $string } block { $block }: module answers again
event-modules-lost = String { $string } blocks { $blocks }: modules stopped answering
event-modules-back = String { $string } blocks { $blocks }: modules answer again
event-alarm-raised = { $blocks_count ->
    [0] { $level }: string { $string }: { $condition }
    [one] { $level }: string { $string } block { $blocks }: { $condition }
   *[other] { $level }: string { $string } blocks { $blocks }: { $condition }
  }
event-alarm-over = String { $string }: over: { $condition }
event-tripped = String { $string } tripped: { $cause }, block { $block } at { VALUE($temperature_dc, unit: "°C", scale: 1, digits: 1) }
event-trip-reset = Trip of string { $string } reset
event-breaker-failed = Breaker of string { $string } was told to open and did not
event-breaker-failure-over = Breaker of string { $string } has opened after all, or need not any more
event-discharge-began = String { $string } feeds the load
event-discharge-ended = String { $string } fed the load for { SPAN($duration_s) }{ $drawn_mah ->
    [none] {""}
   *[other] , { VALUE($drawn_mah, unit: "Ah", scale: 3, digits: 1) }
  }{ $first_collapsed ->
    [none] {""}
   *[other] ; block { $first_collapsed } collapsed first
  }
event-test-began = Battery test { $test } begun
event-test-ended = { $verdict ->
    [none] { $cause ->
        [none] Battery test { $test } not completed: no verdict
       *[other] Battery test { $test } not completed: { $cause }
      }
   *[other] Battery test { $test }: { $verdict }
  }
event-equalizing-infeasible = String { $string } cannot be equalized: block { $block } needs { VALUE($needs_ma, unit: "mA") }, a module gives { VALUE($gives_ma, unit: "mA") }
event-equalizing-feasible = String { $string } can be equalized again
event-charger-wrong = Charger of string { $string } is wrong by { VALUE($by_mv, unit: "V", scale: 3, digits: 2, sign: 1) }: set it right
event-charger-right = Charger of string { $string } set right
event-cable-broken = Cable of bus { $bus } { $place }
event-cable-whole = Cable of bus { $bus } whole again
event-device-lost = Device { $device } ({ $name }) does not answer
event-device-back = Device { $device } ({ $name }) answers again
event-ups-on-battery = { $ups } runs on battery
event-ups-on-mains = { $ups } runs on mains
event-ups-battery-low = { $ups }: battery low
event-ups-lost = { $ups } does not answer
event-ups-back = { $ups } answers again
event-ups-unwatched = { $ups } is looked after no more: its plugin was removed, moved or switched off
event-plugin-started = Plugin { $name } { $version } started
event-plugin-stopped = Plugin { $name } stopped
event-plugin-trapped = Plugin { $name } failed: { $reason }
event-plugin-quarantined = Plugin { $name } failed too often and stays off: { $reason }
event-plugin-released = Plugin { $name } does not stay off any more
event-decisions-lost = What was decided about plugins and keys cannot be read: { $reason }
event-plugin-rolled-back = Plugin { $name }: the version before is back, the new one failed: { $reason }
event-plugin-said = Plugin { $name }: { $text }
event-plugin-denied = Plugin { $name } tried what it may not, { $reason }
event-events-untold = { $count ->
    [one] Plugin { $name } has not passed on one event: { $reason }
   *[other] Plugin { $name } has not passed on { VALUE($count) } events: { $reason }
  }
event-plugin-refused = Plugin { $file } refused: { $reason }
event-guard-back = Guard answers
event-guard-lost = Guard does not answer; no value is live
event-guard-condition = Guard: { $condition }
event-guard-condition-over = Guard: over: { $condition }
event-daemon-started = Evenkeel { $version } started
event-settings-in-force = { $what }: revision { $revision } is in force
event-settings-refused = { $what } refused, the last good copy is in force: { $reason }
event-kept-lost = { $what ->
    [alarms] Alarms that stood before the restart cannot be read, or not all of them: { $reason }
    [jobs] Jobs that waited before the restart cannot be read, or not all of them: { $reason }
   *[other] { $what } of before the restart cannot be read: { $reason }
  }
event-store-damaged = Store was damaged ({ $reason }); kept as { $moved_to }, a new one begun
event-store-salvaged = Store was damaged ({ $reason }); kept as { $moved_to }; in the new one: { $tables }
salvaged-table = { $lost ->
    [0] { $what } { VALUE($kept) }
   *[other] { $what } { VALUE($kept) } ({ VALUE($lost) } lost)
  }
table-users = users
table-settings = settings
table-audit = audit log
table-events = events
table-events-access = events about access
table-told = marks of notifiers
table-documents = alarms and states
table-jobs = jobs
table-kv = values of plugins
table-kv-wear = write allowances of plugins
table-wear = flash counters
table-discharges = discharge records
table-discharge-rows = rows of discharge records
table-history-open = newest history
table-history-records = history
table-history-hours = history by hours
table-history-days = history by days
table-history-sizes = sizes of the history
table-values-open = newest values of devices
table-values-records = values of devices
table-values-hours = values of devices by hours
table-values-days = values of devices by days
event-store-failed = Store cannot be written, events are kept in memory: { $reason }
event-store-recovered = { $samples_lost ->
    [0] Store can be written again; no history sample was lost
    [one] Store can be written again; one history sample was lost
   *[other] Store can be written again; { VALUE($samples_lost) } history samples were lost
  }
event-events-dropped = { $count ->
    [one] One event came too fast and is lost
   *[other] { VALUE($count) } events came too fast and are lost
  }
event-login = { $via ->
    [none] { $user } signed in from { $from }
   *[other] { $user } signed in from { $from }, accepted by { $via }
  }
event-login-without-role = { $user } from { $from } was accepted by { $via } and has no role here; map one of its words in [login.roles]: { $words }
event-authenticator-unavailable = { $name } cannot be asked, local accounts sign in alone: { $reason }
event-authenticator-back = { $name } decides about sign-ins again
event-logout = { $user } signed out from { $from }
event-login-failed = { $count ->
    [one] Failed sign-in as “{ $user }” from { $from }
   *[other] { VALUE($count) } failed sign-ins as “{ $user }” from { $from }
  }{ $by ->
    [none] {""}
   *[other] , rejected by { $by }
  }
event-password-changed = { $user } changed the password, from { $from }
event-ordered = { $user } ordered from { $from }: { $order }{ $refused ->
    [none] {""}
   *[other] ; refused: { $refused }
  }
event-commanded = { $who } told { $target }: { $command }{ $value ->
    [none] {""}
   *[other] {" "}{ $value }
  }{ $refused ->
    [none] {""}
   *[other] ; not done: { $refused }
  }
event-edition-changed = Edition { $edition } is in force, it shows { $shows }: { $reason }
event-licence-installed = { $user } installed the licence { $name } from { $from }
event-licence-removed = { $user } removed the licence { $name } from { $from }
event-licence-refused = Licence from { $from } refused: { $reason }
event-firmware-installed = { $user } installed firmware { $version } from { $from }; it starts when told to
event-firmware-refused = Firmware of { $user } from { $from } refused: { $reason }
event-firmware-confirmed = Firmware { $version } has proved healthy and stays
event-firmware-without = Firmware { $version } stays, though these plugins ran before and do not now: { $plugins }
event-firmware-permanent = Firmware { $version } is permanent: nothing below epoch { $floor } starts any more
event-factory-reset = Appliance { $serial } is as it left the factory, as { $user } ordered from { $from }; everything kept before is erased
event-factory-reset-by-button = Appliance { $serial } is as it left the factory, by its button; everything kept before is erased
event-firmware-returned = Back to the firmware before: { $reason }
event-network-lapsed = { $count ->
    [one] Nobody confirmed the change of the network; the settings before are back
   *[other] Nobody confirmed { VALUE($count) } changes of the network; the settings before are back
  }
event-certificate-lapsed = Nobody confirmed the certificate SHA-256 { $fingerprint }; the one before is back
event-certificate-renewed = New certificate for the console, SHA-256 { $fingerprint }
event-rule-raised = Rule { $rule }: { $text }
event-rule-cleared = Rule { $rule }: over: { $text }
event-schedule-due = { $late_s ->
    [0] { $entry } is due
   *[other] { $entry } is due, { VALUE($late_s, "s") } late
  }
event-schedule-missed = { $count ->
    [one] { $entry } was missed once and is left out
   *[other] { $entry } was missed { VALUE($count) } times and is left out
  }
event-job-said = { $text } (job { $job })
event-job-done = { $attempts ->
    [one] Job { $job }: { $action }
   *[other] Job { $job }: { $action }, at attempt { VALUE($attempts) }
  }
event-job-failed = Job { $job } failed to { $action }: { $reason }
event-job-withdrawn = Job { $job } was removed: what it did is taken back
event-jobs-dropped = { $count ->
    [one] Job { $job } was not begun once: too many are waiting
   *[other] Job { $job } was not begun { VALUE($count) } times: too many are waiting
  }
event-sequence-ended = { $aborted ->
    [none] Run order { $sequence } is through
   *[other] Run order { $sequence } was given up: { $aborted }
  }
job-reason-over = what began it is over
job-reason-removed = its job was removed
job-reason-interrupted = the appliance stopped in the middle of it; nobody knows whether it was done
event-unknown = An event that this version of Evenkeel cannot read

## What becomes of an alarm

alarm-raised = { $level }: { alarm-about }
alarm-again = { $level }, again: { alarm-about }
alarm-worse = { $level }, worse than before: { alarm-about }
alarm-joined = { $level }, at more places: { alarm-about }
alarm-flapping = { $level }, comes and goes: { alarm-about }
alarm-over = Over: { alarm-about }
alarm-acknowledged = { $user } acknowledged alarm { $alarm } ({ $place }: { $what }){ alarm-note }
alarm-shelved = { $user } shelved alarm { $alarm } ({ $place }: { $what }) until { TIME($until_ms) }{ alarm-note }
alarm-unshelved = { $user } took alarm { $alarm } off the shelf ({ $place }: { $what })
alarm-shelf-over = Alarm { $alarm } is back from the shelf: { alarm-about }
alarm-reset = { $user } reset alarm { $alarm } ({ $place }: { $what }){ alarm-note }
alarm-full = There are more alarms than can be held; the least are left out
alarm-about = { $place }: { $what }{ $blocks_count ->
    [0] {""}
    [one] {" "}(block { $blocks })
   *[other] {" "}(blocks { $blocks })
  }{ $value ->
    [none] {""}
   *[other] , { $value }
  }{ $limit ->
    [none] {""}
   *[other] , limit { $limit }
  }
alarm-note = { $note ->
    [none] {""}
   *[other] : { $note }
  }

## What an alarm is about

guard-lost = Guard does not answer
bus-lost = Battery bus lost
cable-broken = Bus cable broken
device-lost = Device does not answer
ups-lost = UPS does not answer
ups-on-battery = UPS runs on battery
ups-battery-low = UPS battery low
ups-replace-battery = UPS wants its battery replaced
ups-overload = UPS overloaded
ups-on-bypass = UPS on bypass
charger-wrong = Charger set wrong
store-failed = Store cannot be written
certificate-expires = Certificate runs out
plugin-off = Plugin failed or was refused, and stays off
guard-settings-fallback = Guard's settings refused, the last good ones are in force
guard-not-real-time = Guard has no real-time priority
guard-not-locked = Guard's memory is not locked
guard-not-confined = Guard is not fully confined
guard-watchdog-lost = Watchdog not armed
finding-voltage-high = Block voltage high
finding-voltage-low = Block voltage low
finding-voltage-deviation = Block voltage far from the others
finding-voltage-invalid = Block voltage not measurable
finding-voltage-stuck = Block voltage reading stuck
finding-temperature-high = Block temperature high
finding-temperature-low = Block temperature low
finding-temperature-invalid = Block temperature not measurable
finding-temperature-suspect = Temperature sensor implausible
finding-temperature-rise = Block warmer than its surroundings
finding-heating = Block keeps heating on float
finding-resistance-high = Internal resistance high
finding-resistance-critical = Internal resistance critical
finding-resistance-low = Internal resistance implausibly low
finding-module-lost = Module does not answer
finding-open-link = Open cell or link
finding-shorted-cell = Shorted cell
finding-reversed-cell = Reversed cell
finding-string-voltage-high = String voltage high
finding-string-voltage-low = String voltage low
finding-charge-current-high = Charge current high
finding-discharge-current-high = Discharge current high
finding-float-current-high = Float current above its learned value
finding-loose-link = Loose or corroded link
finding-sum-mismatch = Block voltages do not add up to the string voltage
finding-ground-fault = Ground fault
finding-equalizing-error = Equalizing error
finding-runaway = Thermal runaway
finding-tripped = Tripped; waiting for a reset
finding-breaker-failed = Breaker did not open
finding-breaker-unconfirmed = Breaker told to open, not confirmed
finding-breaker-open = Breaker open
limit-high = { $quantity } too high
limit-low = { $quantity } too low
quantity-block-voltage = Block voltage
quantity-block-deviation = Deviation from target
quantity-block-temperature = Block temperature
quantity-block-resistance = Resistance over baseline
quantity-block-charge = State of charge
quantity-block-health = State of health
quantity-string-voltage = String voltage
quantity-string-current = String current
quantity-string-charge = State of charge
quantity-string-runtime = Runtime
quantity-battery-charge = UPS battery charge
quantity-battery-runtime = UPS runtime
quantity-battery-temperature = UPS battery temperature
quantity-battery-voltage = UPS battery voltage
quantity-input-voltage = Input voltage
quantity-ups-load = UPS load
quantity-ups-temperature = UPS temperature
quantity-point = Value

## Causes and verdicts

cause-temperature-and-current = thermal runaway: hot block and high float current
cause-two-temperatures = thermal runaway: two blocks hot and rising
cause-one-temperature = thermal runaway: a block extremely hot and rising
cause-block-voltage = a block fell below its limit
cause-string-voltage = the string fell below its limit
cause-temperature = a block got too warm
cause-lost = readings were lost
cause-mains-failed = mains failed
cause-refused = the UPS refused
cause-not-started = the battery did not carry the load within 30 s
cause-ended-by-ups = the UPS ended it
cause-by-hand = stopped by a user
cause-restarted = the appliance was restarted
verdict-pass = passed
verdict-inconclusive = too little was drawn to judge the blocks
verdict-check = check the blocks listed
verdict-fail = failed

## Single words

level-info = Information
level-notice = Notice
level-warning = Warning
level-alarm = Alarm
state-raised = unacknowledged
state-acknowledged = acknowledged
state-returned = over, not acknowledged
state-latched = over, waits for a reset
state-shelved = shelved
urgency-now = at once
urgency-today = today
urgency-soon = this week
place-appliance = Appliance
place-guard = Guard
place-bus = Bus { $n }
place-device = Device { $n }
place-string = String { $n }
place-block = String { $n } block { $block }
place-blocks = { $count ->
    [one] String { $n } block { $blocks }
   *[other] String { $n } blocks { $blocks }
  }
place-plugin = Plugin { $name }
value-and-limit = { $value } (limit { $limit })

## What to do

guide-guard-lost =
    .causes = The guard was stopped, crashed, or is being updated.
    .action = Nothing is measured or protected by the appliance now. Look at the batteries yourself; restart the appliance if the guard does not come back within a minute.
guide-bus-lost =
    .causes = The bus converter was unplugged, lost its supply, or failed.
    .action = Check the converter's plug and supply. Until it is back no battery on this bus is measured, equalized or protected.
guide-cable =
    .causes = A plug worked loose, a cable was cut or crushed, or a module in the line failed.
    .action = Go to the place that is named and check plugs and cable on both sides of it.
guide-device-lost =
    .causes = The device lost its supply or its bus plug, or failed.
    .action = Check its supply and plug. What it measures or switches is not available until it is back.
guide-module-lost =
    .causes = The module lost its battery connection or bus plug, its fuse is blown, or it failed.
    .action = Check clamps, fuse and plug of the module; swap it when its lamp stays dark.
guide-ups-lost =
    .causes = The UPS is off, its cable or network is interrupted, or its settings were changed.
    .action = Check cable or network, and speed or community in the plugin's settings.
guide-on-battery =
    .causes = Mains failed, or their voltage or frequency left the UPS's window.
    .action = Check the supply of the UPS. Watch the runtime; shut loads down in time.
guide-battery-low =
    .causes = Mains failed for long, or the battery is weak.
    .action = Shut down loads now: the UPS switches off within minutes.
guide-replace-battery =
    .causes = The UPS's own test failed, or its replacement date has come.
    .action = Compare with the blocks' resistance and health here; run a battery test; plan the replacement.
guide-overload =
    .causes = More load was connected, or a module of the UPS failed.
    .action = Take load off, or move it to another UPS. Overloaded, the UPS goes to bypass or switches off.
guide-bypass =
    .causes = Overload, a fault of the inverter, or a person switched it.
    .action = The load is not protected against a failure of mains. Find out who or what switched to bypass.
guide-charger =
    .causes = The float voltage is set wrong, or temperature compensation does not work.
    .action = Set the charger to the voltage that the battery's maker wants at this temperature.
guide-store =
    .causes = The flash is full, worn out or failing.
    .action = Events and history are only in memory. Save what you need; have the storage replaced.
guide-certificate =
    .causes = The installed certificate is valid for less than 30 days, or no longer at all.
    .action = Request a new one on the certificate page and install it before browsers warn.
guide-plugin =
    .causes = The plugin has an error, its device answers what it does not expect, or its file, signature or settings are not in order.
    .action = Read its log on the Plugins page; go back to the version before, or tell its vendor.
guide-guard-settings =
    .causes = The settings file was damaged or changed by hand.
    .action = The last good settings are in force. Seal and install the right settings again.
guide-guard-rights =
    .causes = The guard was started without the rights it needs.
    .action = It works, with less certainty about its timing. Start it as the installation describes.
guide-watchdog =
    .causes = The watchdog device is missing or taken.
    .action = A hanging appliance would not restart by itself. Check the watchdog in the installation.
guide-voltage-high =
    .causes = Charger set too high, boost charge too long, or one block in the string is shorted and the others share its voltage.
    .action = Check the charger's voltage and look for a block that is too low. Too high a voltage dries blocks out and heats them.
guide-voltage-low =
    .causes = Discharge, a charger that is off, or a shorted or empty cell.
    .action = On float, check the charger and measure the block by hand; in a discharge, mind the runtime.
guide-deviation =
    .causes = A block of other age or make, a weak cell, a warm place, or a bypass that cannot keep up.
    .action = See whether equalizing brings it back within days. A block that drifts again is to be tested.
guide-sensor =
    .causes = A loose sensing clamp, a faulty sensor, or a module on the wrong block.
    .action = Check the clamps and measure by hand; swap the module when both disagree.
guide-temperature-high =
    .causes = Warm room, blocked air, high charge, or a block that heats itself.
    .action = Check ventilation and room. Ten kelvin more halve the life of the battery.
guide-temperature-low =
    .causes = Cold room or draught.
    .action = Capacity is smaller in the cold; check heating and charger compensation.
guide-heating =
    .causes = Float voltage too high, a shorted cell, poor cooling, or a beginning thermal runaway.
    .action = Compare with its neighbours, check the charger, cool the room. If it keeps rising, take the string off.
guide-runaway =
    .causes = Heat and float current drive each other up.
    .action = Keep away from the string, ventilate, do not close the breaker. Replace the hot blocks before the reset.
guide-breaker =
    .causes = A stuck breaker, a broken coil or feedback line, or somebody switched it by hand.
    .action = Check the breaker on the spot. When it should be open and is not, open it by hand if that is safe.
guide-resistance =
    .causes = Ageing, dry-out, corrosion, or a loose link.
    .action = Retighten and clean the links and measure again. 50 % over the baseline: replace the block; less: test its capacity.
guide-link =
    .causes = A loose or corroded link between blocks, or an interrupted cell.
    .action = Do not load the string. Check every link for heat and torque; measure across each block.
guide-cell =
    .causes = A cell in the block is shorted, or empty and driven backwards.
    .action = Replace the block soon: the others are overcharged or overloaded by it.
guide-charge-current =
    .causes = Recharge after an outage, a current limit set too high, or a shorted cell.
    .action = Check the charger's current limit. On float, look for hot or low blocks.
guide-discharge-current =
    .causes = More load than planned, or another string is missing.
    .action = Check load and breakers of the other strings.
guide-sum =
    .causes = A loose sensing lead, a link with voltage drop, or an input scaled wrongly.
    .action = Measure the string by hand and compare with both values.
guide-ground =
    .causes = Leaked acid, damaged insulation, or damp.
    .action = Danger of shock and fire: do not touch the terminals. Have an electrician find the place.
guide-equalizing =
    .causes = A block needs more bypass than a module has, or its module does not switch.
    .action = Test the block that is named; swap its module when the bypass stays off.
guide-charge =
    .causes = A discharge, a charger that is off, or an aged battery.
    .action = Check whether the string is being charged; mind the runtime until it is.
guide-health =
    .causes = Age, heat, deep discharges.
    .action = Below 90 % test every year, below 80 % replace.
guide-input-voltage =
    .causes = Trouble in the supply, or a UPS input set wrong.
    .action = Check the supply; the UPS goes to battery outside its window.
guide-limit =
    .causes = The value passed the threshold that was set for it.
    .action = Compare with the past values of this point; change the threshold if it is too strict.

## The alarms page

page-alarms = Alarms
page-none = No alarms.
page-level = Level
page-what = Alarm
page-where = Where
page-value = Value
page-since = Since (UTC)
page-state = State
page-act = Do
page-members = { $count ->
    [one] One place
   *[other] { VALUE($count) } places
  }
page-causes = Likely causes
page-action = What to do
page-urgency = How soon
page-note = Note
page-reason = Reason
page-hours = For hours
page-acknowledge = Acknowledge
page-shelve = Shelve
page-unshelve = Take off the shelf
page-reset = Reset
page-acknowledged-by = Acknowledged by { $user }, { TIME($unix_ms) }
page-shelved-by = Shelved by { $user } until { TIME($until_ms) }
page-flapping = Comes and goes
page-full = There are more alarms than can be held; the least are left out.
page-live = Live page
page-sign-out = Sign out
page-password = Password
page-language = Language
page-unsaved = The state of alarms cannot be kept now; after a restart they are raised anew.

action-log = log "{ $text }"
action-output-on = switch output { $output } of device { $device } on
action-output-off = switch output { $output } of device { $device } off
action-relay-up = pick the alarm relay up
action-relay-down = let the alarm relay drop
action-mute = mute the buzzer
action-signal-end = end the signal of the box
action-signal-lamp = let the lamp of the box blink for { $seconds } s
action-signal = sound the buzzer for { $seconds } s
action-lamp = light the lamp of address { $address } on bus { $bus }
action-command = tell { $target }: { $command }
action-notify = tell { $plugin }
action-webhook = send it to { $to }
action-wake-on-lan = wake { $mac } at { $to }
action-sequence = begin the run order { $sequence }
