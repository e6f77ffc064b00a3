/** Writes every dashboard as Grafana provisions it: into the folder that is named, or beside the source. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { database } from './database.js';
import { http } from './http.js';
import { load } from './load.js';
import { overview } from './overview.js';
import { runtime } from './runtime.js';
import { telemetry } from './telemetry.js';

const folder = process.argv[2] ?? '.';
for (const [name, dashboard] of [overview, http, database, runtime, telemetry, load]) {
    writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(dashboard, null, 2)}\n`);
}
