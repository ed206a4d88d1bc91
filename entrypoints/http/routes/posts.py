from functools import partial
from typing import Annotated, Final

from fastapi import Depends, Query, Response

from domain.errors import InvalidInput, PostNotFound, UserNotFound, VersionMismatch
from domain.values import PostId
from entrypoints.http.dependencies import (
    CurrentPrincipal,
    PostIdInPath,
    PostPageReader,
    Posts,
    UserIdInPath,
    signed_in_principal,
)
from entrypoints.http.examples import POST
from entrypoints.http.paging import INVALID_CURSOR, PageQuery, link_header, read_cursor
from entrypoints.http.representations import (
    IfMatch,
    KnownTags,
    encode_posts,
    expected_versions,
    is_known,
    not_modified,
    page_response,
    post_response,
)
from entrypoints.http.responses import BODY_ERRORS, Post, changed, created, error_responses, found, no_content, page_of
from entrypoints.http.routing import create_router
from entrypoints.http.schemas import NewPostBody, PostPatchBody

router: Final = create_router(tags=["posts"], dependencies=[Depends(signed_in_principal)])


@router.post(
    "/users/{id}/posts",
    status_code=201,
    response_model=Post,
    responses=created(POST) | error_responses(*BODY_ERRORS, UserNotFound),
)
async def create_post(author_id: UserIdInPath, body: NewPostBody, posts: Posts) -> Response:
    """Publish a post for a user."""
    return post_response(await posts.publish(author_id, body.to_use_case()), created=True)


@router.get(
    "/users/{id}/posts",
    response_model=list[Post],
    responses=page_of(POST) | error_responses(INVALID_CURSOR, UserNotFound, InvalidInput),
)
async def list_posts(
    author_id: UserIdInPath, query: Annotated[PageQuery, Query()], posts: Posts, pages: PostPageReader
) -> Response:
    """List a user's posts in creation order, one page at a time. Follow `Link` until it is absent."""
    query.check_combination()
    path = f"/users/{author_id}/posts"
    list_name = query.list_name(path)
    after = None if query.cursor is None else PostId(read_cursor(list_name, query.cursor))
    read = partial(posts.list_by, author_id, descending=query.descending)
    page = await pages.read(read, encode_posts, after=after, skip=query.offset or 0, max_items=query.limit)
    total = await posts.count_by(author_id) if query.count else None
    return page_response(page, {**link_header(query, path, list_name, page), **query.total_header(total)})


@router.get("/posts/{id}", response_model=Post, responses=found(POST) | error_responses(PostNotFound))
async def get_post(post_id: PostIdInPath, known: KnownTags, posts: Posts, caller: CurrentPrincipal) -> Response:
    """Get a post."""
    post = await posts.get(post_id, of=caller.restricted_to)
    return not_modified(post) if is_known(post, known) else post_response(post)


@router.patch(
    "/posts/{id}",
    response_model=Post,
    responses=changed(POST) | error_responses(*BODY_ERRORS, PostNotFound, VersionMismatch),
)
async def update_post(
    post_id: PostIdInPath,
    body: PostPatchBody,
    if_match: IfMatch,
    posts: Posts,
    caller: CurrentPrincipal,
) -> Response:
    """Change some fields of a post (JSON Merge Patch, RFC 7396)."""
    expected = expected_versions(post_id, if_match)
    return post_response(await posts.change(post_id, body.to_use_case(), expected, of=caller.restricted_to))


@router.delete(
    "/posts/{id}",
    status_code=204,
    responses=no_content("The post is deleted.") | error_responses(PostNotFound, VersionMismatch),
)
async def delete_post(post_id: PostIdInPath, if_match: IfMatch, posts: Posts, caller: CurrentPrincipal) -> Response:
    """Delete a post."""
    await posts.remove(post_id, expected_versions(post_id, if_match), of=caller.restricted_to)
    return Response(status_code=204)
