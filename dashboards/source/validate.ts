/** Compares dashboards with the JSON schema that is derived from Grafana's types: says what does not fit, and fails. */
import { readFileSync } from 'node:fs';
import { Ajv, type AnySchemaObject } from 'ajv';
import { createGenerator } from 'ts-json-schema-generator';

const schema = createGenerator({
    path: 'source/grafana/shape.ts',
    tsconfig: 'tsconfig.json',
    type: 'Dashboard',
    // Each kind of panel has Options of its own: by name they would be one.
    expose: 'none',
    // tsc has just done that.
    skipTypeCheck: true,
}).createSchema('Dashboard');
const fits = new Ajv({ allErrors: true, strict: false }).compile(schema as AnySchemaObject);

for (const file of process.argv.slice(2)) {
    if (!fits(JSON.parse(readFileSync(file, 'utf8')))) {
        process.exitCode = 1;
        for (const { instancePath, message, params } of fits.errors ?? []) {
            console.log(`${file}: ${instancePath || '/'} ${message} ${JSON.stringify(params)}`);
        }
    }
}
