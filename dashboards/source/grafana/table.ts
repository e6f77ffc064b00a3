/** Rows of labels, as they are at the end of the time range. */
import { TableCellDisplayMode, TableCellHeight } from '@grafana/schema';
import { base, type About } from './panel.js';
import type { DataLink, Panel } from './shape.js';
import type { Unit } from './units.js';

interface Column {
    /** The label, or `Value`. */
    of: string;
    title: string;
    unit?: Unit;
    /** Where a click on the cell leads. */
    see?: DataLink[];
}

/** The columns in their order; what is not named is not shown. */
export const table = (about: About & { columns: Column[] }): Panel => ({
    ...base(about, 'table'),
    type: 'table',
    options: { cellHeight: TableCellHeight.Sm, frameIndex: 0, showHeader: true },
    transformations: [
        { id: 'filterFieldsByName', options: { include: { names: about.columns.map((column) => column.of) } } },
        {
            id: 'organize',
            options: {
                indexByName: Object.fromEntries(about.columns.map((column, index) => [column.of, index])),
                renameByName: Object.fromEntries(about.columns.map((column) => [column.of, column.title])),
            },
        },
    ],
    fieldConfig: {
        defaults: {
            unit: about.unit,
            links: about.see ?? [],
            custom: { align: 'auto', cellOptions: { type: TableCellDisplayMode.Auto }, inspect: false },
        },
        overrides: about.columns
            .map((column) => ({
                matcher: { id: 'byName', options: column.title },
                properties: [
                    ...(column.unit ? [{ id: 'unit', value: column.unit }] : []),
                    ...(column.see ? [{ id: 'links', value: column.see }] : []),
                ],
            }))
            .filter(({ properties }) => properties.length > 0),
    },
});
