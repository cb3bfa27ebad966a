/** From an application's JSON Schema to the fields of a form. Pure; form.js draws them. */

import { title } from "./format.js";

const LONG_CHARS = 200;

/**
 * The fields for `schema` given what is filled in so far, in the schema's order:
 * `{name, title, hint, type, options, isRequired, isLong, maxLength}`.
 *
 * Understands `enum`, `const`, `$ref`, optional values (`anyOf` with null), and
 * `allOf`/`if`/`then` for a vocabulary that depends on another field.
 */
export function fieldsOf(schema, values) {
  const required = new Set(schema.required ?? []);
  const extra = conditionsOf(schema, values);
  return Object.entries(schema.properties ?? {}).map(([name, declared]) => {
    const property = { ...resolve(schema, declared), ...extra[name] };
    const options = property.enum ?? ("const" in property ? [property.const] : null);
    return {
      name,
      title:
        property.title && property.title !== pydanticTitle(name) ? property.title : title(name),
      hint: property.description ?? "",
      type: property.type ?? "string",
      options,
      isRequired: required.has(name),
      isLong: !options && property.type === "string" && (property.maxLength ?? 0) > LONG_CHARS,
      maxLength: property.maxLength,
    };
  });
}

/** The values to begin with: a sample's, else each field's default. */
export function startValues(schema, sample = {}) {
  const entries = Object.entries(schema.properties ?? {});
  return Object.fromEntries(
    entries.map(([name, declared]) => [name, sample[name] ?? declared.default ?? ""]),
  );
}

/**
 * The values with one changed, and those repaired whose vocabulary changed with it:
 * a choice that is no longer allowed becomes the first that is.
 */
export function withValue(schema, values, name, value) {
  const next = { ...values, [name]: value };
  for (const field of fieldsOf(schema, next)) {
    if (
      field.name !== name &&
      field.options?.length &&
      next[field.name] &&
      !field.options.includes(next[field.name])
    ) {
      [next[field.name]] = field.options;
    }
  }
  return next;
}

/** What to send: numbers as numbers, and no empty optional field. */
export function inputsOf(schema, values) {
  const entries = fieldsOf(schema, values).map(({ name, type, isRequired }) => {
    const value = values[name];
    if (value === "" && !isRequired) return [];
    const isNumber =
      (type === "integer" || type === "number") && value !== "" && !Number.isNaN(Number(value));
    return [[name, isNumber ? Number(value) : value]];
  });
  return Object.fromEntries(entries.flat());
}

function resolve(schema, property) {
  const { $ref, anyOf, allOf, ...own } = property;
  const nonNull = anyOf?.filter((one) => one.type !== "null") ?? [];
  const inner = $ref
    ? { $ref }
    : nonNull.length === 1
      ? nonNull[0]
      : allOf?.length === 1
        ? allOf[0]
        : null;
  if (!inner) return own;
  const target = inner.$ref ? schema.$defs?.[inner.$ref.split("/").at(-1)] : inner;
  return { ...resolve(schema, target ?? {}), ...own };
}

/** What the schema's `if`/`then` add to single properties, given the values. */
function conditionsOf(schema, values) {
  const rules = [schema, ...(schema.allOf ?? [])].filter((rule) => rule.if && rule.then);
  const held = rules.filter((rule) =>
    Object.entries(rule.if.properties ?? {}).every(([name, { const: wanted, enum: any }]) =>
      any ? any.includes(values[name]) : values[name] === wanted,
    ),
  );
  return Object.assign({}, ...held.map((rule) => rule.then.properties ?? {}));
}

const pydanticTitle = (name) =>
  name.replaceAll("_", " ").replace(/\b\w/g, (letter) => letter.toUpperCase());
