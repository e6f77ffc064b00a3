/** The objectives, from the one place that has them. */
import { readFileSync } from 'node:fs';

interface Objectives {
    window: string;
    availability: { objective: number };
    latency: { objective: number; threshold_seconds: number };
}

// npm runs scripts in the folder of package.json.
export const objectives: Objectives = JSON.parse(readFileSync('../alerts/slo.json', 'utf8'));

export const percent = (ratio: number) => `${Number((ratio * 100).toPrecision(12))} %`;
export const milliseconds = (seconds: number) => `${Number((seconds * 1000).toPrecision(12))} ms`;
