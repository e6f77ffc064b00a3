// The headline: how it is, and what holds it back.

import { Failure, ask, body } from "./asking.js";
import { byId, make, say } from "./elements.js";
import { duration } from "./units.js";

const PATIENCE_MS = 8000;
let silentSince = null;

/** Asks both questions; never throws. */
export async function refresh() {
    try {
        const [live, ready] = await Promise.all([answer("/health/live"), answer("/health/ready?verbose")]);
        silentSince = null;
        show(live, ready);
    } catch (fault) {
        if (!(fault instanceof Failure)) throw fault;
        silentSince ??= Date.now();
        const since = duration((Date.now() - silentSince) / 1000);
        headline("silent", "No answer", `${fault.message} Silent for ${since}; asking again until it is back.`);
    }
}

async function answer(path) {
    const response = await ask(path, { signal: AbortSignal.timeout(PATIENCE_MS) });
    return { isOk: response.ok, status: response.status, text: (await body(response)).trim() };
}

function show(live, ready) {
    const parts = { live: live.isOk ? "ok" : live.text, ...parsed(ready) };
    const held = Object.entries(parts).filter(([name, words]) => name !== "live" && words !== "ok");
    if (!live.isOk) headline("stuck", "Stuck", live.text);
    else if (held.length > 0) headline("held", "Not ready", `Held back by ${held.map(([name]) => name).join(", ")}.`);
    else headline("fine", "Healthy", "Live and ready for traffic.");
    // The same elements as long as the parts are the same: a reader's place in the list stays.
    const list = byId("parts");
    const names = Object.keys(parts);
    if (Array.from(list.children, (item) => item.dataset.part).join() !== names.join()) {
        list.replaceChildren(...names.map((name) =>
            make("li", { "data-part": name }, make("b", {}, name), " ", make("span", { class: "words" }))));
    }
    for (const item of list.children) {
        const words = parts[item.dataset.part];
        item.className = words === "ok" ? "ok" : "bad";
        say(item.querySelector(".words"), words);
    }
}

/** The parts by name, each "ok" or why not; words that are no JSON are a part of their own. */
function parsed({ isOk, status, text }) {
    try {
        return Object.fromEntries(Object.entries(JSON.parse(text)).map(([name, words]) => [name, String(words)]));
    } catch {
        return { ready: isOk ? "ok" : `${status}: ${text}` };
    }
}

function headline(kind, words, reason) {
    document.documentElement.dataset.state = kind;
    say(byId("state"), words);
    say(byId("reason"), reason);
    document.title = `${words}: glasshouse, internal`;
}
