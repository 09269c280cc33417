/** Loaded before everything else, so that nothing sees, keeps or sends a link's token. */
import { takeFromLink } from "./token";

takeFromLink();
// A link to the screen that is open loads nothing by itself, and is another's.
addEventListener("hashchange", () => {
  if (takeFromLink()) location.reload();
});
