// Which button asks for what.

import { asked, body } from "./asking.js";
import { byId, make } from "./elements.js";
import { fetchPicture } from "./flamegraph.js";
import { Tool } from "./running.js";
import { fetchText, textElements } from "./text.js";

/** The tool of that id. */
export const tool = (id) => new Tool(byId(id));

const button = (words, onclick) => make("button", { onclick }, words);

const cpu = tool("cpu");
function profile(seconds, force = false) {
    const query = new URLSearchParams({ seconds, format: "svg", ...(force ? { force: "true" } : {}) });
    cpu.start({
        doing: `Watching the CPU for ${seconds} s.`,
        done: `CPU of ${seconds} s.`,
        seconds,
        work: (signal) => fetchPicture(`/debug/pprof/profile?${query}`, "CPU flamegraph", signal),
        // A continuous profiler has it nearly always: an engineer goes first.
        offer: ({ status }) => (status === 409 ? [button("Take over", () => profile(seconds, true))] : []),
    });
}

const heap = tool("heap");
function memory(seconds) {
    const query = new URLSearchParams({ ...(seconds ? { seconds } : {}), format: "svg" });
    heap.start({
        doing: seconds ? `Waiting ${seconds} s for what grows.` : "Reading the live memory.",
        done: seconds ? `What was allocated within ${seconds} s and is still held.` : "Live memory, of what was sampled.",
        seconds,
        work: (signal) => fetchPicture(`/debug/pprof/heap?${query}`, "Heap flamegraph", signal),
        offer: ({ status }) => (status === 503 ? [button("Sample for 10 min", sampleHeap)] : []),
    });
}

function sampleHeap() {
    heap.start({
        doing: "Switching heap sampling on.",
        done: "Heap sampling is on for 10 minutes: what is allocated from now on will be seen.",
        work: async (signal) => {
            const response = await asked("/debug/heap?for=10m", { method: "PUT", signal });
            return textElements(await body(response), "Heap sampling", "/debug/heap");
        },
    });
}

const text = (tool, path, title) =>
    tool.start({ doing: `Asking for: ${title}.`, done: title, work: (signal) => fetchText(path, title, signal) });

const tasks = tool("tasks");
const taskPicture = () =>
    tasks.start({
        doing: "Asking every task where it stands.",
        done: "Tasks by what they wait for.",
        work: (signal) => fetchPicture("/debug/pprof/goroutine?format=svg", "Task flamegraph", signal),
    });

const stalls = tool("stalls");
const facts = tool("facts");

const DOING = {
    live: () => memory(),
    grown: () => memory(10),
    on: sampleHeap,
    state: () => text(heap, "/debug/heap", "Heap sampling"),
    picture: taskPicture,
    text: () => text(tasks, "/debug/pprof/goroutine?debug=2", "Each task"),
    stalls: () => text(stalls, "/debug/stalls", "Stalls"),
};

/** Wires the buttons, and opens the flamegraph that the address asks for. */
export function begin() {
    for (const element of document.querySelectorAll("button[data-seconds]")) {
        element.addEventListener("click", () => profile(Number(element.dataset.seconds)));
    }
    for (const element of document.querySelectorAll("button[data-do]")) {
        element.addEventListener("click", DOING[element.dataset.do]);
    }
    for (const element of document.querySelectorAll("button[data-path]")) {
        element.addEventListener("click", () => text(facts, element.dataset.path, element.textContent));
    }
    if (location.pathname === "/debug/flamegraph") open(new URLSearchParams(location.search).get("of") ?? "cpu");
}

function open(what) {
    const opening = { cpu: [cpu, () => profile(5)], heap: [heap, () => memory()], tasks: [tasks, taskPicture] }[what];
    if (opening === undefined) return cpu.say(`There is no flamegraph of “${what}”, only of cpu, heap and tasks.`, true);
    opening[1]();
    opening[0].article.scrollIntoView();
}
