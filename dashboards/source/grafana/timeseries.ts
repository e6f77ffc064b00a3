/** Curves over time, with the lines from which alerts begin. */
import { FieldColorModeId, GraphThresholdsStyleMode, StackingMode, VisibilityMode } from '@grafana/schema';
import { colour, type Line } from './alerts.js';
import { base, thresholds, tooltip, type About } from './panel.js';
import type { Panel } from './shape.js';

interface Curves extends About {
    lines?: Line[];
    /** Series that bound the others: dashed and not filled. */
    limits?: string[];
    stacked?: boolean;
    max?: number;
}

/** Calm below, then the colour of each alert from where it begins. */
const beginnings = (lines: Line[]) => {
    const steps = lines.map(({ alert, at }) => ({ color: colour(alert), value: at }));
    return thresholds([{ color: 'green', value: null }, ...steps.sort((one, other) => one.value - other.value)]);
};

const dashed = (name: string) => ({
    matcher: { id: 'byName', options: name },
    properties: [
        { id: 'custom.lineStyle', value: { fill: 'dash', dash: [10, 10] } },
        { id: 'custom.fillOpacity', value: 0 },
        { id: 'custom.stacking', value: { mode: StackingMode.None, group: 'limits' } },
    ],
});

export const timeseries = (about: Curves): Panel => ({
    ...base(about, 'time_series'),
    type: 'timeseries',
    options: { legend: { showLegend: true, placement: 'bottom', calcs: ['lastNotNull', 'max'] }, tooltip },
    fieldConfig: {
        defaults: {
            unit: about.unit,
            min: 0,
            ...(about.max === undefined ? {} : { max: about.max }),
            color: { mode: FieldColorModeId.PaletteClassicByName },
            links: about.see ?? [],
            thresholds: beginnings(about.lines ?? []),
            custom: {
                lineWidth: 1,
                fillOpacity: 10,
                showPoints: VisibilityMode.Never,
                stacking: { mode: about.stacked ? StackingMode.Normal : StackingMode.None, group: 'A' },
                thresholdsStyle: { mode: about.lines ? GraphThresholdsStyleMode.Dashed : GraphThresholdsStyleMode.Off },
            },
        },
        overrides: (about.limits ?? []).map(dashed),
    },
});
