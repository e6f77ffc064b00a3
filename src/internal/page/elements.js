// Making elements: what is data becomes text and never markup.

const SVG = "http://www.w3.org/2000/svg";

function filled(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
        else if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
}

/** An HTML element. An attribute that begins with "on" is a listener; one that is undefined or false is left out. */
export const make = (name, attributes = {}, ...children) => filled(document.createElement(name), attributes, children);

/** The same for SVG. */
export const draw = (name, attributes = {}, ...children) =>
    filled(document.createElementNS(SVG, name), attributes, children);

/** The one element of that id. */
export const byId = (id) => document.getElementById(id);

/** Writes text only where it changes, so that nothing is read out or laid out twice. */
export function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
}
