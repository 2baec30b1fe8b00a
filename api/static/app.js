// Enhances what already works without scripts: the menu of small screens,
// the focus after an error or an answer, and double presses of a button.
import { initAll } from "./vendor/govuk-frontend.min.js";

document.body.classList.add("js-enabled", "govuk-frontend-supported");
initAll();
