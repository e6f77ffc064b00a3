/** How what a histogram observed is spread, with the traces behind it as points. */
import { AxisPlacement, HeatmapCellLayout, TooltipDisplayMode, VisibilityMode } from '@grafana/schema';
import { HeatmapColorMode } from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import { base, type About } from './panel.js';
import { ask, increase, sum } from './query.js';
import type { Panel } from './shape.js';

export const heatmap = (about: Omit<About, 'ask'> & { of: string }): Panel => ({
    ...base({ ...about, ask: [ask(sum(increase(`${about.of}_bucket`), 'le'), '{{le}}')] }, 'heatmap'),
    type: 'heatmap',
    options: {
        calculate: false,
        cellGap: 1,
        color: {
            mode: HeatmapColorMode.Scheme,
            scheme: 'Oranges',
            steps: 64,
            exponent: 0.5,
            fill: 'dark-orange',
            reverse: false,
        },
        exemplars: { color: 'rgba(255,0,255,0.7)' },
        // A bucket that holds nothing is left out, not painted.
        filterValues: { le: 1e-9 },
        legend: { show: true },
        rowsFrame: { layout: HeatmapCellLayout.auto },
        showValue: VisibilityMode.Never,
        tooltip: { mode: TooltipDisplayMode.Single, yHistogram: true, showColorScale: true },
        yAxis: { unit: about.unit, axisPlacement: AxisPlacement.Left },
    },
    fieldConfig: { defaults: { unit: about.unit, links: about.see ?? [], custom: {} }, overrides: [] },
});
