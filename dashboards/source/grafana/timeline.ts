/** Which state something was in, and since when. */
import { FieldColorModeId, MappingType, VisibilityMode } from '@grafana/schema';
import { base, tooltip, type About } from './panel.js';
import type { Panel } from './shape.js';

/** What 0 and 1 are called, and their colours. */
export type States = Record<'0' | '1', [text: string, color: string]>;

export const timeline = (about: About & { states: States }): Panel => {
    const states = Object.entries(about.states).map(([value, [text, color]], index) => [value, { text, color, index }]);
    return {
        ...base(about, 'time_series'),
        type: 'state-timeline',
        options: {
            alignValue: 'left',
            legend: { showLegend: false, placement: 'bottom', calcs: [] },
            mergeValues: true,
            rowHeight: 0.9,
            showValue: VisibilityMode.Never,
            tooltip,
        },
        fieldConfig: {
            defaults: {
                unit: about.unit,
                color: { mode: FieldColorModeId.Thresholds },
                links: about.see ?? [],
                mappings: [{ type: MappingType.ValueToText, options: Object.fromEntries(states) }],
                custom: { lineWidth: 0, fillOpacity: 80 },
            },
            overrides: [],
        },
    };
};
