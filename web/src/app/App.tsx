import { MantineProvider } from "@mantine/core";
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { useEffect } from "react";
import { Problem } from "../api/problem";
import { forget } from "../api/token";
import { live } from "../live/connection";
import { patch } from "../live/patch";
import { whileSeen } from "../live/seen";
import { sessionEnded, useSession } from "./session";
import { router } from "./router";
import { SignIn } from "./SignIn";

function whenRefused(error: unknown) {
  const problem = Problem.from(error);
  if (problem.status !== 401) return;
  forget();
  sessionEnded(problem.document.detail);
}

export const cache = new QueryClient({
  queryCache: new QueryCache({ onError: whenRefused }),
  mutationCache: new MutationCache({ onError: whenRefused }),
  defaultOptions: {
    queries: {
      // Live events say what is stale. What is asked for again beside them is said where it is.
      refetchOnWindowFocus: false,
      staleTime: 2000,
      retry: (count, error) => count < 3 && [0, 429, 503].includes(Problem.from(error).status),
    },
  },
});

export function App() {
  return (
    // Nothing that Mantine would write into a `<style>`, which the policy refuses: its variables are in mantine.css.
    <MantineProvider defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <QueryClientProvider client={cache}>
        <Inside />
      </QueryClientProvider>
    </MantineProvider>
  );
}

function Inside() {
  const { token } = useSession();
  useEffect(() => {
    if (token === null) return;
    const end = live.take((events) => patch(cache, events));
    const endFresh = live.whenFresh(() => void cache.invalidateQueries());
    live.start();
    const endSeen = whileSeen(live, document);
    return () => {
      endSeen();
      live.end();
      end();
      endFresh();
      cache.clear();
    };
  }, [token]);
  return token === null ? <SignIn /> : <RouterProvider router={router} />;
}
