/** Numbers and names as people read them. Pure; used by every view. */

const GAP = "\u202f"; // a narrow space that does not break
const count = new Intl.NumberFormat("en");

/** Seconds with the digits that matter: 0.62 s, 23.9 s, 124 s. */
export function seconds(value) {
  return value == null ? "–" : `${secondsNumber(value)}${GAP}s`;
}

/** The same without the unit. */
export function secondsNumber(value) {
  if (value == null) return "–";
  if (value < 9.995) return value.toFixed(value < 0.995 ? 2 : 1);
  return value < 99.95 ? value.toFixed(1) : value.toFixed(0);
}

/** A count with its thousands apart. */
export function number(value) {
  return value == null ? "–" : count.format(value);
}

/** US dollars, to a hundredth of a cent below one dollar. */
export function dollars(value) {
  return value == null ? "–" : `$${value.toFixed(value < 1 ? 4 : 2)}`;
}

/** A ratio: 3.9×, 12×. */
export function times(value) {
  return value == null ? "–" : `${value.toFixed(value < 9.95 ? 1 : 0)}×`;
}

/** A name from code as words: research_market_trends → research market trends. */
export function words(name) {
  return String(name).replaceAll("_", " ").trim();
}

/** The same with its first letter large. */
export function title(name) {
  const said = words(name);
  return said.charAt(0).toUpperCase() + said.slice(1);
}

/** When something happened: the time today, else the day as well. */
export function moment(epochS, now = new Date()) {
  const then = new Date(epochS * 1000);
  const time = then.toLocaleTimeString("en-GB");
  if (then.toDateString() === now.toDateString()) return time;
  const day = then.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  return `${day} ${time.slice(0, 5)}`;
}
