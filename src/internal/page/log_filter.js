// The log filter: what is in force, and another one for a while.

import { Failure, asked, body } from "./asking.js";
import { byId, say } from "./elements.js";

/** Wires the form and shows what is in force. */
export async function begin(tool) {
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
    try {
        const filter = (await body(await asked("/debug/log"))).trim();
        say(byId("log-now"), filter);
        byId("log-filter").value = filter;
    } catch (fault) {
        if (!(fault instanceof Failure)) throw fault;
        say(byId("log-now"), fault.message);
    }
}
