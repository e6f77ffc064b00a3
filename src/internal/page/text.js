// Text that was answered: to scroll, to search in, to open alone.

import { address, asked, body } from "./asking.js";
import { make, say } from "./elements.js";

/** Fetches a path as text and gives the elements that show it; JSON is laid out for people. */
export async function fetchText(path, title, signal) {
    const response = await asked(path, { signal });
    const text = await body(response);
    const isJson = (response.headers.get("content-type") ?? "").startsWith("application/json");
    return textElements(isJson ? laidOut(text) : text, title, path);
}

function laidOut(text) {
    try {
        return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
        return text;
    }
}

/** A filter, a link and the text. What is filtered is a block between empty lines, or a line where there are none. */
export function textElements(text, title, path) {
    const whole = text.replace(/\n+$/, "");
    if (whole === "") return [make("p", { class: "fine" }, "The answer is empty.")];
    const hasBlocks = /\n\s*\n/.test(whole);
    const blocks = hasBlocks ? whole.split(/\n\s*\n/) : whole.split("\n");
    const between = hasBlocks ? "\n\n" : "\n";
    const counted = (count) => `${count} ${hasBlocks ? "block" : "line"}${count === 1 ? "" : "s"}`;
    const pre = make("pre", { tabindex: "0", role: "region", "aria-label": title }, whole);
    const found = make("output", {}, counted(blocks.length));
    const field = make("input", { type: "search", autocomplete: "off", spellcheck: "false", oninput: filter });
    function filter() {
        const words = field.value.toLowerCase();
        const matching = blocks.filter((block) => block.toLowerCase().includes(words));
        say(found, words === "" ? counted(blocks.length) : `${matching.length} of ${counted(blocks.length)}`);
        say(pre, matching.join(between));
    }
    const alone = make("a", { href: address(path), target: "_blank", rel: "noreferrer" }, "Open alone");
    const bar = make("div", { class: "bar" }, make("label", {}, "Only with ", field), found, alone);
    return [bar, pre];
}
