import type { FieldError, Problem as Document } from "./schema";

/** A refusal by the server, as the problem document that it sent (RFC 9457), or one in its words where none came. */
export class Problem extends Error {
  constructor(readonly document: Document) {
    super(document.detail);
    this.name = "Problem";
  }

  get status() {
    return this.document.status;
  }

  get code() {
    return this.document.code as string;
  }

  get errors(): FieldError[] {
    return this.document.errors ?? [];
  }

  static async of(response: Response): Promise<Problem> {
    const text = await response.text();
    try {
      const document = JSON.parse(text) as Document;
      if (typeof document.code === "string") return new Problem(document);
    } catch {
      // Not from Nox, but from something between.
    }
    return Problem.own(response.status, "No answer of Nox", text.slice(0, 200) || response.statusText);
  }

  static own(status: number, title: string, detail: string): Problem {
    const document = { type: "about:blank", title, status, detail, code: "none", error: title, message: detail };
    return new Problem(document as unknown as Document);
  }

  static from(error: unknown): Problem {
    if (error instanceof Problem) return error;
    const detail = error instanceof Error ? error.message : String(error);
    return Problem.own(0, "The server was not reached", detail);
  }
}
