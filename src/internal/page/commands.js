// Commands for a terminal, to copy.

import { byId, make } from "./elements.js";

const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);
// A token is asked for where the port is not on loopback; the page does not know it, and would not show it.
const host = isLoopback ? location.host : `"any:$TOKEN@${location.host}"`;
const url = (path) => (isLoopback ? `http://${host}${path}` : `"http://any:$TOKEN@${location.host}${path}"`);
const quoted = (path) => (isLoopback ? `'${url(path)}'` : url(path));

const COMMANDS = [
    ["The tasks, live", `tokio-console ${isLoopback ? `http://${location.host}` : url("")}`],
    ["CPU, in a browser", `go tool pprof -http=: ${quoted("/debug/pprof/profile?seconds=10")}`],
    ["Memory", `go tool pprof ${quoted("/debug/pprof/heap")}`],
    ["Each task", `curl -s ${quoted("/debug/pprof/goroutine?debug=2")}`],
];

/** Lists them, each with a button that copies it. */
export function begin(tool) {
    byId("terminal-token").hidden = isLoopback;
    byId("commands").append(...COMMANDS.map(([name, command]) => {
        const code = make("code", { tabindex: "0" }, command);
        const copy = make("button", { "aria-label": `Copy: ${name}`, onclick: () => copyOf(tool, code, name) }, "Copy");
        return make("li", {}, make("span", {}, name), code, copy);
    }));
}

async function copyOf(tool, code, name) {
    const isCopied = await copied(code);
    tool.say(isCopied ? `Copied: ${name}.` : "The browser does not let a page copy here: the command is selected.", !isCopied);
}

async function copied(code) {
    try {
        await navigator.clipboard.writeText(code.textContent);
        return true;
    } catch {
        // Off loopback and without TLS a page has no clipboard; selecting and the old command still work mostly.
        getSelection().selectAllChildren(code);
        return document.execCommand("copy");
    }
}
