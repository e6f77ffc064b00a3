"""Reads a page of metrics with the parsers of prometheus-client, and writes what it holds as JSON.

The argument is `text` or `openmetrics`. The parser of OpenMetrics is strict: it fails for whatever the standard forbids.
"""

import json
import sys

from prometheus_client import parser
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strict

READ = {"text": parser.text_string_to_metric_families, "openmetrics": strict}


def key(sample):
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}"


page = sys.stdin.buffer.read().decode("utf-8", "strict")
families = list(READ[sys.argv[1]](page))
samples = {}
exemplars = {}
for family in families:
    for sample in family.samples:
        assert key(sample) not in samples, f"twice: {key(sample)}"
        samples[key(sample)] = sample.value
        if sample.exemplar:
            exemplars[key(sample)] = sample.exemplar.labels
json.dump(
    {
        "families": {family.name: [family.type, family.documentation] for family in families},
        "samples": samples,
        "exemplars": exemplars,
    },
    sys.stdout,
)
