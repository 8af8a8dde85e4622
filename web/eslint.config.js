import js from "@eslint/js";
import hooks from "eslint-plugin-react-hooks";
import ts from "typescript-eslint";

export default ts.config(
  { ignores: ["dist/", "node_modules/"] },
  js.configs.recommended,
  ...ts.configs.strict,
  {
    files: ["src/**/*.{ts,tsx}"],
    plugins: { "react-hooks": hooks },
    rules: {
      "react-hooks/rules-of-hooks": "error",
      "react-hooks/exhaustive-deps": "error",
      "max-lines": ["error", { max: 300, skipBlankLines: true, skipComments: true }],
      "no-console": "error",
      eqeqeq: "error",
    },
  },
  {
    files: ["e2e/**/*.mjs", "public/**/*.js"],
    languageOptions: {
      globals: {
        process: "readonly", console: "readonly", fetch: "readonly", URL: "readonly", document: "readonly", window: "readonly",
        setTimeout: "readonly", clearTimeout: "readonly", localStorage: "readonly", matchMedia: "readonly", Buffer: "readonly",
        WebSocket: "readonly", MutationObserver: "readonly", AbortSignal: "readonly", performance: "readonly", getComputedStyle: "readonly",
      },
    },
  },
);
