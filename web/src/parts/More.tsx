import { Button } from "@mantine/core";

type Pages = { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => unknown };

/** The next page of a list, where there is one. */
export function More({ list, name = "More" }: { list: Pages; name?: string }) {
  if (!list.hasNextPage) return null;
  return (
    <p>
      <Button size="compact-sm" variant="default" loading={list.isFetchingNextPage} onClick={() => void list.fetchNextPage()}>
        {name}
      </Button>
    </p>
  );
}
