/** What fires now, as Grafana knows it from Prometheus' rules. */
import { base, type About } from './panel.js';
import { chosen } from './query.js';
import type { Panel } from './shape.js';
import { unit } from './units.js';

const IMPORTANCE = 3;

export const alertlist = (about: Omit<About, 'ask' | 'unit'>): Panel => ({
    ...base({ ...about, ask: [], unit: unit.count }, 'time_series'),
    type: 'alertlist',
    options: {
        alertInstanceLabelFilter: `{${chosen}, severity=~"page|ticket"}`,
        alertName: '',
        dashboardAlerts: false,
        datasource: '',
        groupBy: [],
        groupMode: 'default',
        maxItems: 20,
        showInstances: true,
        sortOrder: IMPORTANCE,
        stateFilter: { firing: true, pending: true, recovering: true, error: true, noData: false, normal: false },
        viewMode: 'list',
    },
    fieldConfig: { defaults: { unit: unit.count, links: [], custom: {} }, overrides: [] },
});
