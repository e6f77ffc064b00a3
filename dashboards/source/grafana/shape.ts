/** What a dashboard may consist of: Grafana's own types, narrowed to what we use. The JSON schema comes from here. */
import type * as schema from '@grafana/schema';
import type * as heatmap from '@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen';
import type * as stat from '@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen';
import type * as timeline from '@grafana/schema/dist/esm/raw/composable/statetimeline/panelcfg/x/StateTimelinePanelCfg_types.gen';
import type * as table from '@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen';
import type * as timeseries from '@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen';

export interface Source {
    type: 'prometheus';
    uid: '${datasource}';
}

export interface Query {
    refId: string;
    datasource: Source;
    editorMode: 'code';
    expr: string;
    legendFormat: string;
    format: 'time_series' | 'table' | 'heatmap';
    exemplar: boolean;
    instant: boolean;
    range: boolean;
    interval?: string;
}

export interface DataLink {
    title: string;
    url: string;
    targetBlank: boolean;
}

interface Defaults<Custom> extends Omit<schema.FieldConfig, 'custom' | 'links' | 'unit'> {
    unit: string;
    links: DataLink[];
    custom: Custom;
}

interface Fields<Custom> {
    defaults: Defaults<Custom>;
    overrides: schema.FieldConfigSource['overrides'];
}

interface Base<Type extends string, Options, Custom> extends Pick<
    schema.Panel,
    'transformations' | 'interval' | 'maxDataPoints'
> {
    id: number;
    type: Type;
    title: string;
    description: string;
    gridPos: schema.GridPos;
    links: schema.DashboardLink[];
    datasource: Source;
    targets: Query[];
    options: Options;
    fieldConfig: Fields<Custom>;
}

/** Grafana publishes no types of this panel: these are the options of its own source. */
export interface AlertListOptions {
    alertInstanceLabelFilter: string;
    alertName: string;
    dashboardAlerts: boolean;
    /** The name of a data source, not its uid; empty for all of them. */
    datasource: string;
    groupBy: string[];
    groupMode: 'default' | 'custom';
    maxItems: number;
    showInstances: boolean;
    sortOrder: 1 | 2 | 3 | 4 | 5;
    stateFilter: Record<'error' | 'firing' | 'noData' | 'normal' | 'pending' | 'recovering', boolean>;
    viewMode: 'list' | 'stat';
}

export interface Row extends Omit<schema.RowPanel, 'panels' | 'gridPos' | 'title' | 'datasource' | 'repeat'> {
    title: string;
    gridPos: schema.GridPos;
    panels: [];
}

/**
 * Whatever stands in the grid.
 * @discriminator type
 */
export type Item =
    | Row
    | Base<'timeseries', timeseries.Options, timeseries.FieldConfig>
    | Base<'stat', stat.Options, Record<string, never>>
    | Base<'heatmap', heatmap.Options, heatmap.FieldConfig>
    | Base<'state-timeline', timeline.Options, timeline.FieldConfig>
    | Base<'table', table.Options, table.FieldConfig>
    | Base<'alertlist', AlertListOptions, Record<string, never>>;

export type Panel = Exclude<Item, Row>;

export interface Annotation extends Omit<schema.AnnotationQuery, 'target' | 'datasource' | 'snapshotData'> {
    datasource: Source | { type: 'grafana'; uid: '-- Grafana --' };
    target?: Query;
    titleFormat?: string;
    textFormat?: string;
    tagKeys?: string;
    useValueForTime?: boolean;
}

export interface Dashboard extends Omit<
    schema.Dashboard,
    'panels' | 'annotations' | 'templating' | 'snapshot' | 'id' | 'revision'
> {
    uid: string;
    title: string;
    description: string;
    schemaVersion: 42;
    editable: false;
    links: schema.DashboardLink[];
    annotations: { list: Annotation[] };
    templating: { list: schema.VariableModel[] };
    panels: Item[];
}
