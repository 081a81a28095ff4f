"""Reads OpenMetrics text on standard input with the parser of the Prometheus
client library, which is strict, and tells what it understood as JSON: for each
family its type, its unit, and its samples by name and labels."""

import json
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

families = {}
for family in text_string_to_metric_families(sys.stdin.read()):
    samples = {}
    for sample in family.samples:
        labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
        samples[f"{sample.name}{{{labels}}}"] = sample.value
    families[family.name] = {
        "type": family.type,
        "unit": family.unit,
        "help": family.documentation,
        "samples": samples,
    }
json.dump(families, sys.stdout)
