# Français, begun: what is not here is said in English.

event-ups-on-battery = { $ups } sur batterie
event-ups-on-mains = { $ups } sur réseau

level-info = Information
level-notice = Remarque
level-warning = Avertissement
level-alarm = Alarme
state-raised = non acquittée
state-acknowledged = acquittée
state-returned = terminée, non acquittée
state-latched = terminée, à réarmer
state-shelved = mise de côté
urgency-now = immédiatement
urgency-today = aujourd'hui
urgency-soon = cette semaine
place-appliance = Appareil
place-guard = Gardien
place-bus = Bus { $n }
place-device = Appareil { $n }
place-string = Branche { $n }
place-block = Branche { $n } bloc { $block }
place-blocks = { $count ->
    [one] Branche { $n } bloc { $blocks }
   *[other] Branche { $n } blocs { $blocks }
  }
place-plugin = Module logiciel { $name }
value-and-limit = { $value } (limite { $limit })

guard-lost = Le gardien ne répond pas
bus-lost = Bus de batterie perdu
cable-broken = Câble de bus coupé
device-lost = L'appareil ne répond pas
ups-lost = L'onduleur ne répond pas
ups-on-battery = Onduleur sur batterie
ups-battery-low = Batterie de l'onduleur faible
ups-overload = Onduleur en surcharge
ups-on-bypass = Onduleur en bypass
charger-wrong = Chargeur mal réglé
finding-voltage-high = Tension de bloc trop élevée
finding-voltage-low = Tension de bloc trop basse
finding-temperature-high = Température de bloc trop élevée
finding-temperature-low = Température de bloc trop basse
finding-resistance-high = Résistance interne élevée
finding-module-lost = Le module ne répond pas
finding-runaway = Emballement thermique
finding-ground-fault = Défaut de terre
limit-high = { $quantity } : trop élevé
limit-low = { $quantity } : trop bas
quantity-block-voltage = Tension de bloc
quantity-block-temperature = Température de bloc
quantity-block-charge = État de charge
quantity-string-charge = État de charge
quantity-block-health = État de santé
quantity-ups-load = Charge de l'onduleur

page-alarms = Alarmes
page-none = Aucune alarme.
page-level = Niveau
page-where = Où
page-value = Valeur
page-since = Depuis (UTC)
page-state = État
page-act = Agir
page-causes = Causes probables
page-action = Que faire
page-urgency = Quand
page-note = Note
page-reason = Motif
page-hours = Pendant (heures)
page-acknowledge = Acquitter
page-shelve = Mettre de côté
page-unshelve = Reprendre
page-reset = Réarmer
page-language = Langue
page-sign-out = Se déconnecter
page-password = Mot de passe
