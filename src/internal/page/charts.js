// Which charts there are, in the order in which a person asks.

import { Chart } from "./chart.js";
import { bytes, cores, count, rate, share, time } from "./units.js";

export const charts = [
    new Chart({
        title: "Requests",
        explains: "answered on the public port",
        unit: rate,
        least: 1,
        lines: [{ key: "requests_per_second", name: "requests per second" }],
    }),
    new Chart({
        title: "Errors",
        explains: "of all answers are a 5xx",
        unit: share,
        least: 0.01,
        lines: [{ key: "error_share", name: "share of 5xx" }],
    }),
    new Chart({
        title: "Latency",
        unit: time,
        large: 1,
        lines: [
            { key: "latency_p50_seconds", name: "p50" },
            { key: "latency_p95_seconds", name: "p95" },
            { key: "latency_p99_seconds", name: "p99" },
        ],
    }),
    new Chart({
        title: "In flight",
        explains: "requests under way",
        unit: count,
        least: 5,
        lines: [{ key: "requests_in_flight", name: "requests in flight" }],
    }),
    new Chart({
        title: "Database pool",
        unit: count,
        lines: [
            { key: "pool_used", name: "used" },
            { key: "pool_waiting", name: "waiting" },
            { key: "pool_max", name: "max" },
            { key: "pool_idle", name: "idle" },
        ],
    }),
    new Chart({
        title: "CPU",
        explains: "of this machine are busy with it",
        unit: cores,
        least: 0.5,
        lines: [{ key: "cpu_cores", name: "busy cores" }],
    }),
    new Chart({
        title: "Memory",
        unit: bytes,
        isBinary: true,
        lines: [
            { key: "resident_bytes", name: "resident" },
            { key: "allocated_bytes", name: "allocated" },
        ],
    }),
    new Chart({
        title: "Tasks",
        explains: "alive on the main runtime",
        unit: count,
        least: 10,
        lines: [{ key: "main_tasks", name: "tasks of the main runtime" }],
    }),
    new Chart({
        title: "Scheduling delay",
        explains: "until the main runtime begins a task",
        unit: time,
        least: 0.001,
        lines: [{ key: "scheduling_delay_seconds", name: "scheduling delay, 99th percentile" }],
    }),
];
