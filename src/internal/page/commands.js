// Commands for a terminal, to copy.

import { byId, make } from "./elements.js";

const isLoopback = /^(localhost|127(\.\d+){3}|\[::1\])$/.test(location.hostname);
// A token is asked for where the port is not on loopback; the page does not know it, and would not show it.
const url = (path) => (isLoopback ? `'http://${location.host}${path}'` : `"http://any:$TOKEN@${location.host}${path}"`);
// tokio-console can show no token; what comes through a tunnel needs none.
const tunnel = `ssh -fNL 6060:localhost:${location.port || 80} ${location.hostname}`;

const COMMANDS = [
    ["The tasks, live", isLoopback
        ? `tokio-console http://${location.host}`
        : `${tunnel} && tokio-console http://127.0.0.1:6060`],
    ["CPU, in a browser", `go tool pprof -http=: ${url("/debug/pprof/profile?seconds=10")}`],
    ["Memory", `go tool pprof ${url("/debug/pprof/heap")}`],
    ["Each task", `curl -s ${url("/debug/pprof/goroutine?debug=2")}`],
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
