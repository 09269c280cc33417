import { useQuery } from "@tanstack/react-query";
import { queries } from "../api/queries";
import { mayWrite } from "../api/token";

/**
 * What the asker may do, in the names of openapi.json's operations, by the server's own word; as long as it has not
 * told, by what the token says of itself. To hide what is not allowed: the server judges all the same.
 */
export function useMay(): (operation: string) => boolean {
  const me = useQuery(queries.me());
  const operations = me.data?.operations;
  return (operation) => (operations ? operations.includes(operation) : mayWrite());
}
