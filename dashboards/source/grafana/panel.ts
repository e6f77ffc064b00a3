/** What all panels have: what is asked, what it means, and where it leads. */
import { ThresholdsMode, TooltipDisplayMode, SortOrder, type Threshold, type ThresholdsConfig } from '@grafana/schema';
import type { Alert } from './alerts.js';
import { runbook } from './links.js';
import { source, targets, type Question } from './query.js';
import type { DataLink, Query } from './shape.js';
import type { Unit } from './units.js';

export interface About {
    /** Ids below 30 are promised to alerts, which link to them. */
    id: number;
    title: string;
    /** What to look for, and what to do then; lines are joined. */
    description: string;
    /** Of 24. */
    width: number;
    unit: Unit;
    ask: Question[];
    /** Where a click on a point leads. */
    see?: DataLink[];
    /** The alerts that this panel explains: their pages of the runbook are linked. */
    alerts?: Alert[];
}

export const base = (about: About, format: Query['format']) => ({
    id: about.id,
    title: about.title,
    description: about.description.trim().replace(/\s+/g, ' '),
    // The row that it stands in says where.
    gridPos: { x: 0, y: 0, w: about.width, h: 0 },
    links: (about.alerts ?? []).map(runbook),
    datasource: source,
    targets: targets(about.ask, format),
});

export const thresholds = (steps: Threshold[]): ThresholdsConfig => ({ mode: ThresholdsMode.Absolute, steps });

export const tooltip = { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending, hideZeros: false };
