/** sys.sequences and sys.synonyms. https://learn.microsoft.com/sql/relational-databases/system-catalog-views/sys-sequences-transact-sql */
import type { Engine } from "../engine/engine.ts";
import { currentNumber, numberValue } from "../engine/sequences.ts";
import { Variant } from "../engine/values.ts";
import { view } from "./define.ts";
import { databaseObjects, OBJECT, objectRow } from "./objects.ts";
import { precisionOf, systemTypeId, userTypeId } from "./system-types.ts";

const SEQUENCE = `${OBJECT}, start_value sql_variant!, increment sql_variant!, minimum_value sql_variant, maximum_value sql_variant,
  is_cycling bit, is_cached bit, cache_size int, system_type_id tinyint!, user_type_id int!, precision tinyint!, scale tinyint,
  current_value sql_variant!, is_exhausted bit!, last_used_value sql_variant`;

export function registerSequenceViews(engine: Engine): void {
  engine.registerView(
    view("sys", "sequences", SEQUENCE, function* (context) {
      for (const object of databaseObjects(context.database)) {
        const sequence = context.database.sequences.get(object.objectId);
        if (!sequence) continue;
        const { type } = sequence;
        const variant = (number: bigint) => new Variant(type, numberValue(sequence, number));
        yield {
          ...objectRow(context, object),
          start_value: variant(sequence.start),
          increment: variant(sequence.increment),
          minimum_value: variant(sequence.minimum),
          maximum_value: variant(sequence.maximum),
          is_cycling: sequence.cycle,
          is_cached: sequence.cache !== 0,
          cache_size: sequence.cache === 0 ? null : sequence.cache,
          system_type_id: systemTypeId(type),
          user_type_id: userTypeId(type),
          precision: precisionOf(type),
          scale: 0,
          current_value: variant(currentNumber(sequence)),
          is_exhausted: sequence.next === null,
          last_used_value: sequence.last === null ? null : variant(sequence.last),
        };
      }
    }),
  );
  engine.registerView(
    view("sys", "synonyms", `${OBJECT}, base_object_name nvarchar(1035)`, function* (context) {
      for (const object of databaseObjects(context.database)) {
        const synonym = context.database.synonyms.get(object.objectId);
        if (synonym)
          yield {
            ...objectRow(context, object),
            base_object_name: synonym.target
              .map((part) => (part === "" ? "" : `[${part.replaceAll("]", "]]")}]`))
              .join("."),
          };
      }
    }),
  );
}
