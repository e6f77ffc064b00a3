// The log filter: what is in force, and another one for a while.

import { Failure, asked, body } from "./asking.js";
import { byId, say } from "./elements.js";

/** Wires the form. */
export function begin(tool) {
    const form = tool.article.querySelector("form");
    form.addEventListener("submit", (event) => {
        event.preventDefault();
        const [filter, period] = [byId("log-filter").value.trim(), byId("log-for").value];
        tool.start({
            doing: "Changing the log filter.",
            done: `The filter has been changed; it falls back after ${period}.`,
            work: async (signal) => {
                const query = new URLSearchParams({ for: period });
                const response = await asked(`/debug/log?${query}`, { method: "PUT", body: filter, signal });
                say(byId("log-now"), (await body(response)).trim());
                return [];
            },
        });
    });
}

/** Shows what is in force: it may have fallen back, or somebody else may have changed it. */
export async function refresh() {
    try {
        const filter = (await body(await asked("/debug/log", { signal: AbortSignal.timeout(5000) }))).trim();
        say(byId("log-now"), filter);
        const field = byId("log-filter");
        // To be changed a little, and not to be typed anew.
        if (field.defaultValue === "") field.defaultValue = filter;
    } catch (fault) {
        if (!(fault instanceof Failure)) throw fault;
        say(byId("log-now"), fault.message);
    }
}
