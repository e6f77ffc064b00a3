/** One number, large, with how it came to be behind it. */
import {
    BigValueColorMode,
    BigValueGraphMode,
    BigValueJustifyMode,
    BigValueTextMode,
    FieldColorModeId,
    PercentChangeColorMode,
    VizOrientation,
    type Threshold,
} from '@grafana/schema';
import { base, thresholds, type About } from './panel.js';
import type { Panel } from './shape.js';

/** Green, then orange, then red as the number grows. */
export const rising = (orange: number, red: number): Threshold[] => [
    { color: 'green', value: null },
    { color: 'orange', value: orange },
    { color: 'red', value: red },
];

/** Green, then orange, then red as the number falls. */
export const falling = (orange: number, red: number): Threshold[] => [
    { color: 'red', value: null },
    { color: 'orange', value: red },
    { color: 'green', value: orange },
];

export const stat = (about: About & { levels: Threshold[] }): Panel => ({
    ...base(about, 'time_series'),
    type: 'stat',
    options: {
        colorMode: BigValueColorMode.Value,
        graphMode: BigValueGraphMode.Area,
        justifyMode: BigValueJustifyMode.Auto,
        orientation: VizOrientation.Auto,
        percentChangeColorMode: PercentChangeColorMode.Standard,
        reduceOptions: { calcs: ['lastNotNull'] },
        showPercentChange: false,
        textMode: BigValueTextMode.Auto,
        wideLayout: true,
    },
    fieldConfig: {
        defaults: {
            unit: about.unit,
            color: { mode: FieldColorModeId.Thresholds },
            links: about.see ?? [],
            noValue: 'no data',
            thresholds: thresholds(about.levels),
            custom: {},
        },
        overrides: [],
    },
});
