// Inside the frame: draws what it is sent, and says what is in it. The page around it cannot look in here, nor this
// out: they exchange a picture, its functions, a height, words to search for.

// What the picture's script would keep in the address, no document without an origin may.
history.replaceState = () => {};
const tell = (message) => parent.postMessage(message, "*");
let drawn = null;

function show(svg) {
    const picture = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    if (picture.nodeName !== "svg") return tell({ fault: "it cannot be read" });
    const scripts = Array.from(picture.querySelectorAll("script"), (script) => {
        script.remove();
        return script.textContent;
    });
    picture.removeAttribute("onload");
    document.body.replaceChildren(document.adoptNode(picture));
    for (const text of scripts) {
        const script = document.createElement("script");
        script.textContent = text;
        document.body.append(script);
    }
    // Before its script shortens the texts.
    tell({ heaviest: heaviest(document.getElementById("frames")) });
    window.init({});
    // Its own search asks in a dialogue, which a sandbox does not have: the field of the page is for that.
    window.search_prompt = () => tell({ search: true });
    drawn = picture;
    settle();
    addEventListener("resize", settle);
}

const settle = () => tell({ height: Math.ceil(drawn.getBoundingClientRect().height) });

function find(words) {
    const matched = document.getElementById("matched");
    window.reset_search();
    window.searching = 0;
    matched.classList.add("hide");
    matched.firstChild.nodeValue = "";
    if (words !== "") window.search(words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    tell({ matched: matched.firstChild.nodeValue });
}

addEventListener("message", ({ source, data }) => {
    if (source !== parent) return;
    try {
        if (typeof data.svg === "string") show(data.svg);
        if (typeof data.find === "string") find(data.find);
        if (data.unzoom) window.unzoom();
    } catch (fault) {
        tell({ fault: String(fault) });
    }
});

/** The functions that have most for themselves: `[name, alone, with what it calls]`, as shares of all. */
function heaviest(group) {
    const total = Number(group.getAttribute("total_samples"));
    const functions = [...sums(frames(group))].filter(([, sum]) => sum.alone > 0 && total > 0);
    functions.sort(([, a], [, b]) => b.alone - a.alone || b.all - a.all);
    return functions.slice(0, 10).map(([name, { alone, all }]) => [name, alone / total, all / total]);
}

/** Each frame that was drawn: its name, where it lies, and what of it no frame that it calls covers. */
function frames(group) {
    const frames = Array.from(group.children, (element) => {
        const rect = element.querySelector("rect");
        const number = (name) => Number(rect.getAttribute(name));
        const name = element.querySelector("title").textContent.replace(/ \([^()]*\)$/, "");
        const [x, width] = [number("fg:x"), number("fg:w")];
        return { name, x, end: x + width, y: number("y"), alone: width, width, caller: null };
    });
    const levels = new Map();
    for (const frame of frames) levels.set(frame.y, [...(levels.get(frame.y) ?? []), frame]);
    for (const level of levels.values()) level.sort((a, b) => a.x - b.x);
    // The root is on top: it has the smallest y, and a caller is right above what it calls.
    const heights = [...levels.keys()].sort((a, b) => a - b);
    heights.slice(1).forEach((y, at) => {
        const callers = levels.get(heights[at]);
        let next = 0;
        for (const frame of levels.get(y)) {
            while (next < callers.length && callers[next].end <= frame.x) next += 1;
            frame.caller = callers[next] ?? null;
            if (frame.caller) frame.caller.alone -= frame.width;
        }
    });
    return frames;
}

/** By function; recursion counts once. The root frame stands for everything and has no function. */
function sums(frames) {
    const functions = new Map();
    for (const frame of frames.filter((frame) => frame.caller)) {
        const sum = functions.get(frame.name) ?? { alone: 0, all: 0 };
        sum.alone += frame.alone;
        let caller = frame.caller;
        while (caller && caller.name !== frame.name) caller = caller.caller;
        if (!caller) sum.all += frame.width;
        functions.set(frame.name, sum);
    }
    return functions;
}
