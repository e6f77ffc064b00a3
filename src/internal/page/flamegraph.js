// A flamegraph on the page: the very bytes that were fetched, in a frame that can do nothing but draw them.

import { address, asked, body } from "./asking.js";
import { make, say } from "./elements.js";
import { textElements } from "./text.js";

const TALLEST = 20000;

/** Fetches a flamegraph and gives the elements that show it; an answer that is no picture is shown as text. */
export async function fetchPicture(path, title, signal) {
    const response = await asked(path, { signal });
    const isPicture = (response.headers.get("content-type") ?? "").startsWith("image/svg+xml");
    const text = await body(response);
    return isPicture ? pictureElements(text, title) : textElements(text, title, path);
}

function pictureElements(svg, title) {
    const frame = make("iframe", { src: address("/page/frame.html"), sandbox: "allow-scripts", title });
    const send = (message) => frame.contentWindow?.postMessage(message, "*");
    const field = make("input", { type: "search", autocomplete: "off", spellcheck: "false" });
    field.addEventListener("input", () => send({ find: field.value }));
    const found = make("output", {});
    const unzoom = make("button", { onclick: () => send({ unzoom: true }) }, "Reset zoom");
    const file = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
    const save = make("a", { href: file, download: `${title.toLowerCase().replaceAll(" ", "-")}.svg` }, "Save the picture");
    frame.addEventListener("load", () => send({ svg }));

    const functions = make("div", { class: "wide" });

    function hear({ source, data }) {
        if (source === null || source !== frame.contentWindow) return;
        if (Number.isFinite(data.height)) frame.style.height = `${Math.min(TALLEST, Math.max(80, data.height + 2))}px`;
        if (typeof data.matched === "string") say(found, field.value === "" ? "" : data.matched || "No match");
        if (typeof data.fault === "string") say(found, `The picture cannot be shown: ${data.fault}`);
        if (Array.isArray(data.heaviest)) functions.replaceChildren(...table(data.heaviest));
        if (data.search === true) field.focus();
    }
    addEventListener("message", hear);
    // Nothing else would let go of the picture's bytes when another one takes its place.
    const watch = new MutationObserver(() => {
        if (frame.isConnected) return;
        removeEventListener("message", hear);
        URL.revokeObjectURL(file);
        watch.disconnect();
    });
    watch.observe(document.body, { childList: true, subtree: true });
    const bar = make("div", { class: "bar" }, make("label", {}, "Highlight ", field), found, unzoom, save);
    return [functions, bar, frame];
}

/** The functions that the picture is widest at, in words: who cannot see it, or has no time to, reads these. */
function table(functions) {
    if (functions.length === 0) return [];
    const percent = (share) => `${(100 * Number(share)).toFixed(1)} %`;
    const head = ["alone", "with what it calls", "function"].map((text) => make("th", { scope: "col" }, text));
    const rows = functions.map(([name, alone, all]) => make(
        "tr",
        {},
        make("td", {}, percent(alone)),
        make("td", {}, percent(all)),
        make("th", { scope: "row" }, String(name)),
    ));
    const caption = make("caption", {}, "Heaviest functions");
    return [make("table", {}, caption, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows))];
}
