/** What a reader chooses: the data source, the jobs, the environment, the instances. */
import { VariableRefresh, VariableSort, type VariableModel } from '@grafana/schema';
import { SERVICE } from './links.js';
import { chosen, source } from './query.js';

const datasource: VariableModel = {
    name: 'datasource',
    label: 'Data source',
    type: 'datasource',
    query: 'prometheus',
    current: { text: 'Prometheus', value: 'prometheus' },
    refresh: VariableRefresh.onDashboardLoad,
};

/** The values of a label of whatever says which build it is. */
const choice = (name: string, label: string, matchers = ''): VariableModel => ({
    name,
    label,
    type: 'query',
    datasource: source,
    query: `label_values(${SERVICE}_build_info${matchers}, ${name})`,
    refresh: VariableRefresh.onTimeRangeChanged,
    sort: VariableSort.naturalAsc,
    multi: true,
    includeAll: true,
    allValue: '.+',
    current: { text: 'All', value: '$__all' },
});

/** One environment at a time. Where targets have no such label there is nothing to choose, and it matches as empty. */
const { allValue: _, ...one } = choice('environment', 'Environment', '{job=~"$job"}');
const environment: VariableModel = { ...one, multi: false, includeAll: false, current: { text: '', value: '' } };

export const variables = [
    datasource,
    choice('job', 'Job'),
    environment,
    choice('instance', 'Instance', `{${chosen}}`),
];
