// Numbers as a person reads them: three digits that matter, and the unit that makes them small.

const digits = (value) => {
    const places = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    return value.toFixed(places).replace(/\.0+$/, "").replace(/(\.\d)0$/, "$1");
};

const scaled = (value, steps) => {
    const [size, unit] = steps.find(([size]) => Math.abs(value) >= size) ?? steps.at(-1);
    return [digits(value / size), unit];
};

const TIMES = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"]];
const BYTES = [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"], [1, "B"]];

/** Each gives a number and its unit, both as text. */
export const time = (seconds) => (seconds === 0 ? ["0", "ms"] : scaled(seconds, TIMES));
export const bytes = (count) => scaled(count, BYTES);
export const rate = (value) => [digits(value), "/s"];
export const share = (value) => [digits(value * 100), "%"];
export const count = (value) => [digits(value), ""];
export const cores = (value) => [digits(value), value === 1 ? "core" : "cores"];

/** Number and unit in one. */
export const plain = ([value, unit]) => (unit === "" ? value : unit === "%" ? value + unit : `${value} ${unit}`);

/** A duration as people say it: 3 d 4 h, 5 min 6 s. */
export function duration(seconds) {
    const whole = Math.max(0, Math.floor(seconds));
    const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
    const first = parts.findIndex(([size]) => whole >= size);
    if (first === -1) return "0 s";
    const values = parts.slice(first, first + 2).map(([size, unit], at) => {
        const above = first + at > 0 ? parts[first + at - 1][0] : Infinity;
        return [Math.floor((at === 0 ? whole : whole % above) / size), unit];
    });
    return values.filter(([value], at) => at === 0 || value > 0).map(([value, unit]) => `${value} ${unit}`).join(" ");
}

/** The next number of the form 1, 2 or 5 times a power that is not below: where an axis ends. For bytes, of two. */
export function roundUp(value, isBinary) {
    if (!(value > 0)) return 0;
    if (isBinary) {
        const power = 2 ** Math.floor(Math.log2(value));
        return [1, 1.25, 1.5, 1.75, 2].map((step) => step * power).find((end) => end >= value);
    }
    const power = 10 ** Math.floor(Math.log10(value));
    return [1, 2, 2.5, 5, 10].map((step) => step * power).find((end) => end >= value * (1 - 1e-9)) ?? value;
}
