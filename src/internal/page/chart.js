// One small chart: a number as it is now, and its line over the window.

import { draw, make, say } from "./elements.js";
import { plain, roundUp } from "./units.js";

// In units of the picture, which is stretched to whatever width there is.
const WIDTH = 300;
const HEIGHT = 64;

/**
 * `lines` are `{ key, name }` of the readings, of which `large` is the large number; `unit` turns a number into text.
 * `least` is what the axis reaches at least, so that noise does not look like an event.
 */
export class Chart {
    constructor({ title, lines, unit, large = 0, least = 0, isBinary = false, explains }) {
        Object.assign(this, { title, lines, unit, large, least, isBinary });
        const id = `chart-${title.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
        this.value = make("span", { class: "value" }, "–");
        this.unitText = make("span", { class: "unit" });
        this.top = make("span", { class: "top" });
        this.names = lines.length > 1 ? lines.map((line) => make("dd", {}, "–")) : [];
        const legend = lines.map(({ name }, at) =>
            make("div", { class: `line-${at + 1}` }, make("dt", {}, name), this.names[at]));
        this.paths = lines.map((line, at) => draw("path", { class: `line line-${at + 1}` }));
        this.area = draw("path", { class: "area" });
        this.cursor = draw("line", { class: "cursor", y1: "0", y2: String(HEIGHT), visibility: "hidden" });
        this.picture = draw(
            "svg",
            { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
            this.area,
            ...[...this.paths].reverse(),
            this.cursor,
        );
        this.element = make(
            "article",
            { class: "chart", id, "aria-labelledby": `${id}-title` },
            make("h3", { id: `${id}-title` }, title),
            make("p", { class: "number" }, this.value, " ", this.unitText),
            lines.length > 1 ? make("dl", { class: "legend" }, ...legend) : make("p", { class: "legend" }, explains),
            make("div", { class: "plot" }, this.top, this.picture),
        );
    }

    /** Draws `readings`, of which the one at `chosen` gives the number; `end` is the time at the right edge. */
    show(readings, chosen, end, window) {
        const known = (reading, key) => reading?.[key] ?? null;
        const large = this.lines[this.large];
        const [value, unit] = known(chosen, large.key) === null ? ["–", ""] : this.unit(chosen[large.key]);
        say(this.value, value);
        say(this.unitText, this.lines.length > 1 ? `${unit} ${large.name}`.trim() : unit);
        this.names.forEach((name, at) => {
            const value = known(chosen, this.lines[at].key);
            say(name, value === null ? "–" : plain(this.unit(value)));
        });
        const all = this.lines.flatMap(({ key }) => readings.map((reading) => known(reading, key)));
        const highest = Math.max(this.least, ...all.filter((value) => value !== null));
        const ceiling = roundUp(highest, this.isBinary) || 1;
        say(this.top, plain(this.unit(ceiling)));
        const x = (reading) => WIDTH * (1 - (end - reading.at_seconds) / window);
        // A little below the edge, so that the line's own width is not cut off.
        const y = (value) => HEIGHT - 1.5 - (value / ceiling) * (HEIGHT - 3);
        this.lines.forEach(({ key }, at) => this.paths[at].setAttribute("d", trace(readings, key, x, y)));
        this.area.setAttribute("d", trace(readings, large.key, x, y, HEIGHT));
        this.picture.setAttribute("aria-label", this.words(readings));
        this.cursor.setAttribute("visibility", chosen === readings.at(-1) || !chosen ? "hidden" : "visible");
        if (chosen) {
            this.cursor.setAttribute("x1", x(chosen));
            this.cursor.setAttribute("x2", x(chosen));
        }
    }

    /** What the picture shows, for who does not see it. */
    words(readings) {
        const words = this.lines.map(({ key, name }) => {
            const values = readings.map((reading) => reading[key]).filter((value) => value !== null);
            if (values.length === 0) return `${name}: no value yet`;
            const [now, low, high] = [values.at(-1), Math.min(...values), Math.max(...values)];
            const text = [now, low, high].map((value) => plain(this.unit(value)));
            return `${name}: now ${text[0]}, lowest ${text[1]}, highest ${text[2]}`;
        });
        return `${this.title} over the last five minutes. ${words.join("; ")}`;
    }
}

/** A path through the known values; a gap where one is not known. With `floor`, the area below instead. */
function trace(readings, key, x, y, floor) {
    const runs = [[]];
    for (const reading of readings) {
        if (reading[key] === null || reading[key] === undefined) runs.push([]);
        else runs.at(-1).push([x(reading), y(reading[key])]);
    }
    return runs.filter((run) => run.length > 0).map((run) => {
        // One value alone would be a line without a length.
        const points = run.length === 1 ? [[run[0][0] - 1, run[0][1]], run[0]] : run;
        const path = points.map(([x, y], at) => `${at === 0 ? "M" : "L"}${x.toFixed(2)} ${y.toFixed(2)}`).join("");
        if (floor === undefined) return path;
        return `${path}L${points.at(-1)[0].toFixed(2)} ${floor}L${points[0][0].toFixed(2)} ${floor}Z`;
    }).join("");
}
