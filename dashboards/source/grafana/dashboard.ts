/** A dashboard: rows of panels, each row under the question that it answers. */
import { DashboardCursorSync } from '@grafana/schema';
import { annotations } from './annotations.js';
import { names, others, SERVICE, uid, type Name } from './links.js';
import type { Dashboard, Item, Panel, Row } from './shape.js';
import { variables } from './variables.js';

/** Panels side by side, below the question that they answer together. */
export interface Answer {
    question: string;
    /** Of each line, in rows of the grid. */
    height: number;
    panels: Panel[];
}

export const row = (question: string, height: number, ...panels: Panel[]): Answer => ({ question, height, panels });

const COLUMNS = 24;
/** Rows have ids of their own, above those of panels. */
const FIRST_ROW = 100;

/** Places panels from left to right, and below each other where a line is full. */
const place = (answers: Answer[]): Item[] => {
    let y = 0;
    return answers.flatMap(({ question, height, panels }, index) => {
        const heading: Row = {
            id: FIRST_ROW + index,
            type: 'row',
            title: question,
            collapsed: false,
            gridPos: { x: 0, y, w: COLUMNS, h: 1 },
            panels: [],
        };
        y += 1;
        let x = 0;
        const placed = panels.map((panel) => {
            if (x + panel.gridPos.w > COLUMNS) {
                x = 0;
                y += height;
            }
            const gridPos = { x, y, w: panel.gridPos.w, h: height };
            x += panel.gridPos.w;
            return { ...panel, gridPos };
        });
        y += height;
        return [heading, ...placed];
    });
};

export const dashboard = (name: Name, description: string, ...answers: Answer[]): [Name, Dashboard] => [
    name,
    {
        uid: uid(name),
        title: `Glasshouse ${names[name]}`,
        description,
        tags: [SERVICE],
        schemaVersion: 42,
        version: 1,
        editable: false,
        graphTooltip: DashboardCursorSync.Crosshair,
        refresh: '30s',
        time: { from: 'now-1h', to: 'now' },
        timezone: 'browser',
        links: others(name),
        annotations: { list: annotations },
        templating: { list: variables },
        panels: place(answers),
    },
];
