from functools import partial
from typing import Annotated, Final

from fastapi import Depends, Query, Response

from domain.values import PostId
from entrypoints.http.authentication import CurrentPrincipal, signed_in_principal
from entrypoints.http.conditional import IfMatch, KnownTags, expected_versions, is_known
from entrypoints.http.dependencies import PostIdInPath, Posts, UserIdInPath
from entrypoints.http.openapi import CHANGED, CREATED, FOUND, LISTED, REMOVED, error_responses
from entrypoints.http.pages import read_page
from entrypoints.http.paging import PageQuery, link_header, read_cursor
from entrypoints.http.representations import Post, encode_posts, not_modified, page_response, post_response
from entrypoints.http.routing import create_router
from entrypoints.http.schemas import NewPost, PostPatch

router: Final = create_router(tags=["posts"], dependencies=[Depends(signed_in_principal)])


@router.post(
    "/users/{id}/posts",
    status_code=201,
    response_model=Post,
    responses=CREATED | error_responses("body", 404, with_tokens=[401]),
)
async def create_post(author_id: UserIdInPath, body: NewPost, posts: Posts) -> Response:
    """Publish a post in a user's name."""
    return post_response(await posts.publish(author_id, body.to_use_case()), created=True)


@router.get(
    "/users/{id}/posts",
    response_model=list[Post],
    responses=LISTED | error_responses(400, 404, 422, with_tokens=[401]),
)
async def list_posts(author_id: UserIdInPath, query: Annotated[PageQuery, Query()], posts: Posts) -> Response:
    """List a user's posts by creation, one page at a time; follow `Link` until it is gone."""
    query.check_combination()
    path = f"/users/{author_id}/posts"
    list_name = query.list_name(path)
    after = None if query.cursor is None else PostId(read_cursor(list_name, query.cursor))
    read = partial(posts.list_by, author_id, descending=query.descending)
    page = await read_page(read, encode_posts, after=after, skip=query.offset or 0, max_items=query.limit)
    total = await posts.count_by(author_id) if query.count else None
    return page_response(page, {**link_header(query, path, list_name, page), **query.total_header(total)})


@router.get("/posts/{id}", response_model=Post, responses=FOUND | error_responses(404, with_tokens=[401]))
async def get_post(post_id: PostIdInPath, known: KnownTags, posts: Posts, caller: CurrentPrincipal) -> Response:
    """Get a post."""
    post = await posts.get(post_id, of=caller.restricted_to)
    return not_modified(post) if is_known(post, known) else post_response(post)


@router.patch(
    "/posts/{id}",
    response_model=Post,
    responses=CHANGED | error_responses("body", 404, 412, with_tokens=[401]),
)
async def update_post(
    post_id: PostIdInPath, body: PostPatch, if_match: IfMatch, posts: Posts, caller: CurrentPrincipal
) -> Response:
    """Change some fields of a post."""
    expected = expected_versions(post_id, if_match)
    return post_response(await posts.change(post_id, body.to_use_case(), expected, of=caller.restricted_to))


@router.delete("/posts/{id}", status_code=204, responses=REMOVED | error_responses(404, 412, with_tokens=[401]))
async def delete_post(post_id: PostIdInPath, if_match: IfMatch, posts: Posts, caller: CurrentPrincipal) -> Response:
    """Remove a post."""
    await posts.remove(post_id, expected_versions(post_id, if_match), of=caller.restricted_to)
    return Response(status_code=204)
