/** Loaded before everything else, so that nothing sees, keeps or sends a link's token. */
import { takeFromLink } from "./token";

takeFromLink();
